#!/bin/sh
# Stands in for Bazel's merger of coverage reports: what a test's runner left is the report.
for argument; do
    case $argument in
        --coverage_dir=*) directory=${argument#*=} ;;
        --output_file=*) output=${argument#*=} ;;
    esac
done
[ -n "${output-}" ] || exit 0
: >"$output"
for report in "${directory-}"/*.dat; do
    if [ -f "$report" ]; then cat "$report" >>"$output"; fi
done
