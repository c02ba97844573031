# Sourced by scripts/lint and scripts/test: run stages, all of them, and say at the end how each went.
failed=() report=()

note() {  # note STATUS SECONDS NAME: a line of the table
  local word=ok
  if [[ $1 -ne 0 ]]; then word=FAILED; failed+=("$3"); fi
  report+=("$(printf '  %-6s  %5d s  %s' "$word" "$2" "$3")")
}

stage() {  # stage NAME COMMAND...
  local name=$1 began=$SECONDS status=0
  shift
  echo; echo "--- $name"
  "$@" || status=$?
  note $status $((SECONDS - began)) "$name"
}

beside_names=() beside_logs=() beside_processes=()

beside() {  # beside NAME COMMAND...: the same beside the stages that follow, until `joined` shows what it said
  local log
  log=$(mktemp)
  beside_names+=("$1") beside_logs+=("$log")
  shift
  ( status=0; SECONDS=0; "$@" >"$log" 2>&1 || status=$?; echo $SECONDS >"$log.s"; exit $status ) &
  beside_processes+=($!)
}

joined() {  # wait for all that runs beside
  local i status log
  for i in "${!beside_processes[@]}"; do
    status=0 log=${beside_logs[$i]}
    wait "${beside_processes[$i]}" || status=$?
    echo; echo "--- ${beside_names[$i]}"
    cat "$log"
    note $status "$(cat "$log.s")" "${beside_names[$i]}, beside the others"
    rm -f "$log" "$log.s"
  done
}

finish() {  # the table, and the exit status
  echo; echo "--- stages"
  printf '%s\n' "${report[@]}" "  total   $(printf '%5d' "$SECONDS") s"
  [[ ${#failed[@]} -eq 0 ]]
}

style() {  # the checks that take no time
  local bin=$PWD/.venv/bin
  stage "style (ruff check)" "$bin/ruff" check --quiet
  stage "format (ruff format)" "$bin/ruff" format --check --quiet
  stage "import direction (import-linter)" "$bin/lint-imports" --no-logo --no-cache
}

types() {  # types COMMAND...: the check that takes most of a minute on one core, by `stage` or `beside`
  "$1" "types (mypy)" "$PWD/.venv/bin/mypy"
}
