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

beside() {  # beside NAME COMMAND...: the same beside the stages that follow, until `joined` shows what it said
  beside_name=$1 beside_log=$(mktemp)
  shift
  ( status=0; SECONDS=0; "$@" >"$beside_log" 2>&1 || status=$?; echo $SECONDS >"$beside_log.s"; exit $status ) &
  beside_process=$!
}

joined() {  # wait for what runs beside
  local status=0
  wait "$beside_process" || status=$?
  echo; echo "--- $beside_name"
  cat "$beside_log"
  note $status "$(cat "$beside_log.s")" "$beside_name, beside the one above"
  rm -f "$beside_log" "$beside_log.s"
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
