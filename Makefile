.PHONY: app test lint format bench lock

app:     ; @scripts/app
test:    ; @scripts/test
lint:    ; @scripts/lint
format:  ; @scripts/format
bench:   ; @scripts/bench
lock:    ; @scripts/lock
