#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The ordinary work of the demo's web application. Waiting, reading and stamping are done inside bash,
# so that the only processes are those that an observer should see.
exec 3<> <(:)   # a pipe that never speaks: `read -t` on it is a sleep without a process
job=0
while :; do
	job=$((job + 1))
	printf -v stamp '%(%Y-%m-%dT%H:%M:%S)T' -1
	printf -v epoch '%(%s)T' -1
	read -r request < /proc/sys/kernel/random/uuid
	/usr/bin/java -Xmx256m -jar /app/webapp.jar --request-id="$request" --started="$stamp"
	/usr/bin/backup --out=/var/backups/orders-"$epoch".tar.gz --job "$job"
	/usr/bin/healthcheck "http://127.0.0.1:8080/healthz?ts=$epoch"
	: > "/var/log/access-$epoch-$job.log"
	/bin/gzip -f "/var/log/access-$epoch-$job.log"
	# The hole: what lands in the upload folder is run. This is where the attacker comes in.
	if [ -s /app/upload/plugin.sh ]; then
		mapfile -t plugin < /app/upload/plugin.sh
		: > /app/upload/plugin.sh
		eval "${plugin[*]}"
	fi
	read -r -t 0.1 -u 3
done
