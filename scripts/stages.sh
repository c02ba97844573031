# Sourced by scripts/lint and scripts/test: run stages one after the other, all of them, and say at the end how each went.
failed=() report=()

stage() {  # stage NAME COMMAND...
  local name=$1 began=$SECONDS
  shift
  echo; echo "--- $name"
  if "$@"; then report+=("$(printf '  ok      %5d s  %s' $((SECONDS - began)) "$name")")
  else report+=("$(printf '  FAILED  %5d s  %s' $((SECONDS - began)) "$name")"); failed+=("$name"); fi
}

finish() {  # the table, and the exit status
  echo; echo "--- stages"
  printf '%s\n' "${report[@]}" "  total   $(printf '%5d' "$SECONDS") s"
  [[ ${#failed[@]} -eq 0 ]]
}

lint() {  # the checks that run nothing of ours
  local bin=$PWD/.venv/bin
  stage "style (ruff check)" "$bin/ruff" check --quiet
  stage "format (ruff format)" "$bin/ruff" format --check --quiet
  stage "import direction (import-linter)" "$bin/lint-imports" --no-logo --no-cache
  stage "types (mypy)" "$bin/mypy"
}
