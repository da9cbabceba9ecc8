# SPDX-License-Identifier: Apache-2.0
"""Words in the names of flags and variables by which they can do harm, in lower case.

`POWERS` do something when they are on, `PROTECTIONS` when they are off. The others matter by what
stands behind them: `DOORS` with a number, `NAMES` with a word, `CODE` with a place. A name without any of
these marks is mild (docs/decisions/0033).
"""

import re
from typing import Final

from habitus_profiler.words import words

POWERS: Final = words(
    """
    absolute admin administrator allow allowed allowlist anonymous approve askpass attach basedir bash become
    bypass cleartext cmd codebase command commands console cors credential credentials dangerous dangerously
    dashboard debugger delete denylist deserialization destroy dl drop dump elevated escalate eval exec
    execute expose exposure extensions external forward ftp functions grant guest hook hooks httpprof
    impersonate import infile insecure inspect interactive invalid javaagent jdwp jmx jmxremote jndi jolokia
    keyring kill libraries lifecycle listen loader lookups mine miner mining netrc noauth nosandbox nossl
    notls noverify orphan outfile override pass passphrase passwd password perl5db perl5opt pid plaintext
    plugin plugins pprof privileged profiler profiling prompt proxy public purge push pythonhome pythonstartup
    remote remove replicaof reset restore revert rmi roles root rubyopt script scripts secret secrets shell
    shutdown skipverify slaveof sudo suid super superuser symlinks system telnet tftp token tokens traversal
    trust trustall trusted tunnel unauthenticated unlock unprivileged unrestricted unsafe unsafely unsecure
    unsecured upload vnc webdav whitelist wipe zdotdir
    """
)
PROTECTIONS: Final = words(
    """
    acl apparmor audit auditing auth authenticate authentication authorization authorize basicauth cap
    capabilities capability caps cert certificate certificates certs checksum checksums csrf encrypt
    encryption firewall gpg grant grants hostkey hsts integrity mfa mlock otp perm permission permissions priv
    privilege privileges protect protected redact protection protections reqcert restriction restrictions safe
    sandbox seccomp secure security selinux sign signature signatures signing ssl tls totp verification
    verify xsrf
    """
)
LOOKS: Final = words(
    """
    audit auditing checksum checksums csrf encrypt encryption firewall hsts integrity xsrf
    """
)
"""Protections only where they are switched off: `--check-interval` is none."""
KEYED: Final = words("cache field group index json label partition primary routing row sort")
"""With `key` behind them these name no secret."""
WHO: Final = words("gid group mode owner uid umask user users")
"""Doors even for one digit: `--uid 0`; no port has one."""
DOORS: Final = words(
    """
    addr address bind debug gid group host inspect listen mode owner profile profiler socket uid umask unix
    user
    """
)
NAMES: Final = (DOORS - {"debug", "mode"}) | words(
    """
    agent agentlib agentpath as bash binary browser callback cgi chdir class conf config cwd editor endpoint
    executable extension extensions handler helper image ini interpreter jar jars key keys keyserver
    kubeconfig launcher lib library load loader middleware module modules network options opts origin packages
    pager plugin plugins preload profile program registry renderer require role root rsh run server sh ssh
    template templates uri url wrapper
    """
)
CODE: Final = words(
    """
    agent basedir chdir class config cwd editor extension extensions handler helper include interpreter
    kubeconfig launcher lib library load loader module modules pager plugin plugins policy preload profile
    program python pythonpath registry renderer require root run script scripts template templates workdir
    wrapper
    """
)
"""What a place behind these holds is run or obeyed; any other place tells by itself."""
CREDENTIALS: Final = words("auth credential credentials passphrase passwd password secret token tokens")
"""Powers that protect: given nothing, they open."""
INSIDE: Final = re.compile(
    r"insecure|(?:skip|no|ignore)_?(?:ssl|tls|cert\w{0,8}_?)?_?verif|trust_?all|allow_?all|unsafe|no_?auth"
    r"|no_?safe|no_?sandbox|clean_?disabled|anonymous|bind_?(?:ip_)?all|verify_none|plain_?(?:http|text)"
    r"|load_?module"
    r"|tls_?(?:min_)?v?1(?:_[01])?\Z|ssl_?v[23]\Z|(?:local_)?file_access|trust_?url"
)
"""What in a name of words that are not set apart (`insecureskipverify`) does harm when it is on."""
UNPROTECTED: Final = re.compile(
    r"(?:tls|ssl|https?|cert|peer|host|sig)[a-z]{0,6}verif|verif[a-z]{0,4}(?:tls|ssl|peer|host|cert)|read_?only"
    r"|auth_?(?:enabled|required)|host_?key|key_?check|script_?checks|openapi_?valid|check_?(?:xsrf|host)"
)
"""What in such a name protects."""
ENDINGS: Final = (
    "import", "preload", "module", "plugin", "command", "script", "exec", "hook", "library", "pythonpath",
    "classpath",
)  # fmt: skip
LOADING: Final = (CODE - {"agent", "include", "policy", "profile"}) | words(
    "eval exec execute group import role user"
)
"""By these a word names code or a person wherever they stand in a name."""
OBEYED: Final = words("authorized ca cacert cert env hba home init key keys startup var work working")
"""A file or folder of these is obeyed, too, though it lies below the one that a process works in."""
TIMES: Final = words("delay grace interval limit period timeout ttl")
NEGATIONS: Final = words(
    """
    accept deny disable disabled exclude ignore never no non not off omit refuse reject skip suppress without
    """
)
AMOUNTS: Final = words(
    """
    age attempts bytes concurrency connections count days delay depth duration expiry factor frequency grace
    height hours interval kb length level limit max mb min minutes ms num percent percentage period pct
    processes quality rate ratio retries rows s seconds secs size threads threshold time timeout tries ttl
    width workers
    """
)
"""What an amount is of says nothing: `--config.reload.interval 23s` names no configuration."""
BOUNDS: Final = words("max maximum min minimum num limit limits percent")
"""The same wherever they stand: `--max-delete 100`, `upload_max_filesize=20M`."""
WEAKENING: Final = words("depth factor length level limit max min quality")
"""Of what protects, little of these protects little."""
COUNTED: Final = ("timeout", "interval", "size", "count", "limit", "seconds", "retries", "percent")
"""Ends of words that are not set apart: `requestacceptgracetimeout`."""
DESCRIPTIONS: Final = words(
    """
    algo algorithm category charset codec column columns compression encoding field fields filter format label
    labels lang locale mode order pattern prefix priority query regex severity sort strategy style suffix tag
    tags title type unit zone
    """
)
"""What a word describes says nothing either: `--key-type ecdsa` names no key."""
HARMLESS_PAIRS: Final = frozenset(
    {
        ("roll", "forward"), ("fast", "forward"), ("storage", "class"), ("priority", "class"),
        ("ingress", "class"), ("page", "cache"), ("dry", "run"), ("push", "gateway"), ("file", "system"),
        ("heap", "dump"), ("version", "check"), ("user", "agent"), ("user", "timezone"), ("character", "set"),
        ("offset", "reset"), ("incremental", "basedir"), ("group", "by"), ("order", "by"),
        ("unlock", "experimental"), ("unlock", "diagnostic"), ("security", "egd"), ("user", "language"),
        ("user", "country"), ("user", "limit"), ("color", "profile"), ("collation", "server"),
        ("set", "server"), ("super", "read"), ("cap", "drop"), ("cap", "lints"), ("cluster", "roles"),
        ("node", "roles"), ("proxy", "protocol"), ("proxy", "headers"), ("run", "id"), ("run", "name"),
        ("run", "date"), ("run", "mode"), ("run", "time"), ("run", "type"), ("do", "eval"), ("eval", "every"),
        ("eval", "batch"), ("eval", "steps"), ("remote", "time"), ("consumer", "group"), ("exclude", "group"),
        ("cert", "name"), ("expose", "gc"), ("preserve", "symlinks"), ("starting", "token"),
        ("continuation", "token"), ("next", "token"), ("new", "tokens"), ("num", "tokens"), ("max", "tokens"),
        ("min", "tokens"), ("batched", "tokens"), ("run", "number"), ("home", "page"), ("policy", "type"),
        ("load", "factor"), ("load", "average"), ("load", "format"), ("load", "balancing"),
        ("load", "balancer"), ("system", "log"), ("system", "pods"), ("system", "prompt"),
        ("secrets", "cache"), ("secrets", "caching"), ("token", "cache"), ("import", "mode"),
        ("hook", "timeout"), ("bind", "timeout"), ("check", "interval"),
        ("no", "audit"), ("proxy", "mode"), ("password", "encryption"), ("password", "hashing"),
    }
)  # fmt: skip
"""Two words together that name something else than either: a storage class is no class of code."""
TIDYING: Final = words("clear delete drop flush prune purge push remove reset strip upload wipe")
TRIFLES: Final = words(
    """
    after attribution before blanks bom cache caches comments coverage delay duplicates
    during empty extraneous footer header headers holes interval margins metadata metrics missing na
    nan newlines nulls outliers partial position progress spaces stats statistics temp terminal timeout
    timestamps timing tmp trailing unused values warnings whitespace
    """
)
"""What may be tidied away, counted anew or sent without harm: `--drop-duplicates`, `--reset-stats`."""
LISTED: Final = words(
    "annotation annotations column columns field fields label labels metric metrics tag tags"
)
LISTS: Final = words("allowlist denylist whitelist blacklist")
"""What is told of these is chosen by a list: `--metric-labels-allowlist`."""
LENIENT: Final = words(
    """
    duplicate duplicates empty error errors extra fail failed failure failures incomplete missing mixed
    multiple null nulls other overlap overwrite partial same skips stale subset truncated unknown unused
    unmatched warning warnings zero
    """
)
"""What may be allowed without harm: `--allow-empty`."""
LEVELS: Final = words("level loglevel verbosity")
"""How much is told, wherever it is told: `--log-level-console`."""
REACHES: Final = words("connect expose external forward listen proxy public remote")
"""Powers only where somebody else is at the other end."""
TEMPORARY: Final = words("tmp temp tmpdir tempdir temporary tmppath temppath scratch")
LEAVING_OUT: Final = words("exclude excluded excludes except ignore ignored omit skip skipped without")
"""What stands behind these is left alone, whatever it is called; a file that lists it is read."""
GAUGES: Final = words(
    "health healthz liveness metric metrics monitoring prometheus readiness ready telemetry"
)
WATCHING: Final = words("watch check test validate show print list poll")
"""A name that begins so says what is looked at; a plain word behind it, how."""
TONGUES: Final = words(
    "catalogers dialect ecosystem engine flavor flavour lang language languages lexer manager platform"
    " runtime stack syntax target"
)
"""What stands behind these says in which language something is written: `--target node`."""
ABOUT_DATA: Final = words("channel filter match pattern queue queues stream subject title topic topics")
"""What stands behind these names data, however it is spelt: `--topic actuators/state`."""
FEATURES: Final = words("feature features gate gates featuregates")
"""What stands behind these is switched on: it is read as a flag's name would be."""
LABELS: Final = words(
    "annotation annotations crd label labels selector selectors taint taints toleration tolerations"
)
"""What stands behind these is a label, though it may be spelt as a host with a path."""
OWN_NAMES: Final = words("address domain host hostname url uri")
"""With `external` or `public` before them, these are by what name a server is called."""
ROUTES: Final = words(
    "api base context external health healthz http metrics probe public root route servlet telemetry"
    " uri url web"
)
"""With `path` or `prefix` behind them these name where a server answers, not where a file lies."""
VARIABLES: Final = re.compile(
    r"(?:LD|DYLD|GCONV|OPENSSL|LUA)_|MALLOC_(?!ARENA)|HIST(?!CONTROL)"
    r"|GIT_(?:SSH|EXEC|PROXY|EXTERNAL|CONFIG|ASKPASS|TEMPLATE)"
    r"|(?:CC|CXX|AR|VISUAL|IFS|ENV|TERMINFO|HOSTALIASES|PATH)\Z"
    r"|\w*(?:RC|PAGER|EDITOR|LESSOPEN|CA_BUNDLE|PASSFILE|GEMFILE|HOST_CONF|SCAN_DIR|ASKPASS)\Z"
)
"""Environment variables whatever they say: by these, code is found, trust is placed or traces are lost."""
SEARCHED: Final = ("PATH", "LIB", "HOME", "ENV")
"""Ends of an environment variable's name that says where code is looked for."""
