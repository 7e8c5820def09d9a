#!/bin/sh
# What every container of the bank runs on a real node: answers its probes, tells its metrics, and breaks on the cues that
# its pod carries as annotations (mounted from the downward API), as the simulated cluster's containers do.
set -u

# Sets `cue` to the value of the annotation $1, empty without one. By builtins alone: it is asked all the time.
look_for() {
  cue=
  [ -r /etc/podinfo/annotations ] || return 0
  while IFS='=' read -r name value || [ -n "$name" ]; do # the last line has no end
    [ "$name" = "sandbox.sre-agent.dev/$1" ] && cue=${value#\"} && cue=${cue%\"}
  done < /etc/podinfo/annotations
  return 0
}

mkdir -p /tmp/www
echo ok | tee /tmp/www/ready > /tmp/www/healthy
printf 'bank_errors_ratio %s\nbank_queue_length %s\n' "${ERRORS_RATIO:-0}" "${QUEUE_LENGTH:-0}" > /tmp/www/metrics
httpd -p 8080 -h /tmp/www
trap 'exit 0' TERM
echo "serving on 8080"
while :; do
  look_for exit-code
  [ -n "$cue" ] && { echo "fatal: exit code $cue was asked for" >&2; exit "$cue"; }
  look_for needs-memory
  if [ -n "$cue" ]; then
    echo "needs $cue of memory"
    mkfifo /tmp/held
    sleep 2147483647 < /tmp/held &
    exec dd if=/dev/zero of=/tmp/held bs="${cue%i}" count=1 # one block: held until somebody reads it
  fi
  look_for fails-probe
  case $cue in
    readiness) rm -f /tmp/www/ready ;;
    liveness) rm -f /tmp/www/healthy ;;
  esac
  sleep 0.5
done
