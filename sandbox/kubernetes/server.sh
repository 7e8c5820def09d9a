#!/bin/sh
# What every container of the bank runs on a real node: answers its probes, and breaks on the cues that its pod carries
# as annotations (mounted from the downward API), as the simulated cluster's containers do.
set -u
cue() { sed -n "s|^sandbox.sre-agent.dev/$1=\"\(.*\)\"$|\1|p" /etc/podinfo/annotations 2>/dev/null; }

mkdir -p /tmp/www
echo ok | tee /tmp/www/ready > /tmp/www/healthy
echo "bank_errors_ratio ${ERRORS_RATIO:-0}" > /tmp/www/metrics
httpd -p 8080 -h /tmp/www
trap 'exit 0' TERM
echo "serving on 8080"
while :; do
  code=$(cue exit-code)
  [ -n "$code" ] && { echo "fatal: exit code $code was asked for" >&2; exit "$code"; }
  memory=$(cue needs-memory)
  if [ -n "$memory" ]; then
    echo "needs $memory of memory"
    mkfifo /tmp/held
    sleep 2147483647 < /tmp/held &
    exec dd if=/dev/zero of=/tmp/held bs="${memory%i}" count=1 # one block: held until somebody reads it
  fi
  case $(cue fails-probe) in
    readiness) rm -f /tmp/www/ready ;;
    liveness) rm -f /tmp/www/healthy ;;
  esac
  sleep 0.2
done
