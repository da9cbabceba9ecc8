# SPDX-License-Identifier: Apache-2.0
"""What common programs do with their arguments: which run others, which run text as code."""

import re
from functools import lru_cache
from typing import Final

from habitus_profiler.words import words

SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "rbash", "fish"})
WRAPPERS: Final = words(
    """
    env sudo doas exec nohup timeout nice ionice xargs time setsid stdbuf command busybox toybox tini
    dumb-init catatonit chroot unshare nsenter setpriv flock watch strace ltrace parallel taskset chrt
    catchsegv eatmydata builtin
    """
)
"""Programs whose first plain argument is a program again."""

SWITCHERS: Final = frozenset({"gosu", "su-exec", "runuser", "chpst", "setuser"})
"""Wrappers whose first plain argument is a user."""

SHELL_TEXT: Final = frozenset({"su", "script", "runuser", "flock", "watch"})
"""Programs whose `-c` (or plain argument, for watch) is shell text though they are no shells."""

CODE_FLAGS: Final = {
    "python": frozenset({"-c"}),
    "pypy": frozenset({"-c"}),
    "perl": frozenset({"-e", "-E"}),
    "ruby": frozenset({"-e"}),
    "lua": frozenset({"-e"}),
    "Rscript": frozenset({"-e"}),
    "php": frozenset({"-r"}),
    "node": frozenset({"-e", "--eval", "-p", "--print", "-pe"}),
    "nodejs": frozenset({"-e", "--eval", "-p", "--print", "-pe"}),
    "bun": frozenset({"-e", "--eval"}),
}
"""Interpreters and the flags after which code stands."""

EVAL_FLAGS: Final = {
    "mongosh": frozenset({"--eval"}),
    "mongo": frozenset({"--eval"}),
    "R": frozenset({"-e"}),
}
"""The same of programs whose first plain argument is no script."""

LOAD_FLAGS: Final = words(
    """
    --module --require --import --loader --experimental-loader -jar -cp -classpath --class-path
    --module-path -javaagent: -agentpath: -agentlib: --load --preload --plugin --extension
    --load-extension --exec --execute --command --eval --script --init-file --rcfile --use-compress-program
    --checkpoint-action --to-command --rsh --rsync-path --upload-pack --receive-pack --config-env -exec
    -execdir -ok --entrypoint --post-file --upload-file
    """
)
"""Flags whose value is code, or is run: it is known by itself only."""

LOADERS: Final = {
    "pandoc": frozenset({"--filter", "-F", "--lua-filter", "-L", "--pdf-engine", "--pdf-engine-opt"}),
    **dict.fromkeys(("python", "pypy", "uwsgi", "coverage"), frozenset({"-m", "-X"})),
    "java": frozenset({"-m", "-p"}),
    **dict.fromkeys(("node", "nodejs", "bun", "tsx", "ts-node", "mocha", "nyc"), frozenset({"-r"})),
    **dict.fromkeys(("irb", "pry", "erb", "rspec", "rackup", "sidekiq"), frozenset({"-r", "-I"})),
    "perl": frozenset({"-I", "-M", "-m", "-S"}),
    "ruby": frozenset({"-r", "-I", "-S"}),
    "php": frozenset({"-z"}),
    "git": frozenset({"-c", "-u", "--exec-path", "--template"}),
    "tar": frozenset({"-I", "-F", "--info-script", "--new-volume-script"}),
    "rsync": frozenset({"-e"}),
    "celery": frozenset({"-I", "--include", "-A", "--app"}),
    "gunicorn": frozenset({"-k", "--worker-class", "--logger-class"}),
    "erl": frozenset({"-s", "-run", "-eval"}),
    "beam.smp": frozenset({"-s", "-run", "-eval"}),
    "openssl": frozenset({"-engine", "-provider"}),
    "sqlite": frozenset({"-cmd"}),
    "curl": frozenset({"--engine"}),
}
"""Program → flags of its own whose value is code, or is run."""

SERVERS: Final = words("uvicorn hypercorn daphne granian gunicorn waitress-serve")
"""Programs whose plain argument is an object of Python that they serve."""

BUILT_IN: Final = words(
    """
    asyncio context eventlet gevent gthread lualatex pdflatex prefork processes solo sync tectonic threads
    auto_explain bg_mon citus hypopg pg_auth_mon pg_cron pg_partman_bgw pg_stat_kcache pg_stat_monitor
    pg_stat_statements pg_wait_sampling pgaudit pglogical set_user timescaledb
    tornado typst uvicorn.workers.UvicornH11Worker uvicorn.workers.UvicornWorker uvloop weasyprint
    wkhtmltopdf xelatex
    """
)
"""Ways to work that a program brings, or calls by name, spelt where code of one's own could stand."""

HOST_FLAGS: Final = words(
    """
    -h --host --server --servername --bootstrap-server --broker --proxy -x --peer --master
    --endpoint --remote --address --connect
    """
)
TALKERS: Final = words(
    """
    curl wget nc ncat netcat telnet ping ping6 traceroute dig nslookup host ssh sftp ftp tftp nmap whois
    socat fping arping getent
    """
)
"""Programs whose plain arguments may be hosts."""

REACHERS: Final = words("nc ncat netcat telnet ssh scp sftp rsync ftp nmap socat fping arping")
"""Programs by which shells, tunnels and files go from one host to the next, or hosts are looked for."""

WHO_FLAGS: Final = words("-u -U --user --username --role --as --group --become-user --owner")
"""Flags whose value, when it is a plain word, is whom the program acts as."""

_NOT_HOST: Final = frozenset({"df", "du", "ls", "free", "sort", "grep", "tar", "java", "tail", "chown"})

RUNNING: Final = SHELLS | words(
    """
    python python2 python3 perl ruby node nodejs php lua awk nc ncat netcat socat curl wget eval exec system
    shell script console busybox gdb strace nsenter chroot crontab ssh scp
    """
)
"""Words that as a plain argument of any program mean that something else will run."""

CALLS: Final = RUNNING | words(
    """
    popen qx spawn execsync execfile execve fork require import __import__ dlopen syscall process runtime
    subprocess socket tcpsocket connect passthru proc_open shell_exec backticks open3 pty load loadlibrary
    child_process instance_eval class_eval assert executable invokemethod reflect scriptengine
    """
)
"""Names (in lower case) that in text which looks like code mean that something will run."""

ASKING: Final = frozenset(
    {"[", "test", "set", "echo", "printf", "true", "false", "sleep", "date", "exit", ":", "wait", "df"}
    | {"ulimit", "umask", "hash", "times", "shift", "getopts", "unset"}
)
"""Commands in shell text that can do no harm by themselves, nor can their flags."""

TAME: Final = words(
    """
    awk basename break bzcat bzip2 cat cd cksum cmp column comm continue cut diff dirname du egrep export
    expr fgrep find flock fold getconf getent grep gunzip gzip head ionice jq let local ls lz4 md5sum
    mkdir nice nl nohup nproc nslookup paste pg_isready pgrep pidof pigz pwd readlink readonly realpath return
    rev sed seq sha1sum sha256sum sort stat tac tail tee timeout touch tr uniq unxz unzstd wc xargs xz xzcat
    zcat zgrep zstd zstdcat
    """
)
"""Commands that read, print, pack, make folders, or run another with less: on what is a slot of its own."""

FETCHERS: Final = frozenset({"curl", "wget"})
"""Commands that fetch: what they fetch and from where are slots of their own."""

SEQUENCES: Final = frozenset({"&&", "||", ";"})
"""Shell operators that pass nothing on."""

KEYWORDS: Final = frozenset({"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "&&"})
"""Shell words after which a command stands."""

PASSIVE: Final = frozenset({"for", "case", "select", "in", "esac", "done", "fi", "}", "function", "[["})
"""Shell words after which no command stands."""

_CLUSTERING: Final = frozenset({"perl", "ruby"})
_CODE_CLUSTER: Final = re.compile(r"-[acilnpswW0]{1,8}[eE]\Z")
_LONGEST: Final = 64
_VERSION: Final = re.compile(r"[-.]?\d+(?:\.\d+)*$")


@lru_cache(maxsize=4096)
def program(word: str) -> str:
    """Return the plain name of a program: without directory, login dash or version."""
    name = word.rsplit("/", 1)[-1].lstrip("-")[:_LONGEST]
    stem = _VERSION.sub("", name)
    return stem if stem in CODE_FLAGS else name


def is_shell_flag(flag: str) -> bool:
    """Say whether a shell reads the next argument as text after this flag: `-c`, `-lc`, `-exc`."""
    return len(flag) > 1 and flag[0] == "-" and flag[1] != "-" and flag.endswith("c") and flag[1:].isalpha()


def is_code_flag(name: str, flag: str) -> bool:
    """Say whether a program reads the next argument as code after this flag: `-e`, `-c`, perl's `-lne`."""
    known = CODE_FLAGS.get(name) or EVAL_FLAGS.get(name)
    return (known is not None and flag in known) or (
        name in _CLUSTERING and _CODE_CLUSTER.match(flag) is not None
    )


def names_host(name: str, flag: str, plain: int) -> bool:
    """Say whether the word after `flag` (or the first plain one) of program `name` is a host."""
    if name in TALKERS and not flag and not plain:
        return True
    if flag == "-x" and name not in TALKERS:
        return False  # a proxy for few, something to leave out for most
    return flag in HOST_FLAGS and name not in _NOT_HOST and name not in SHELLS
