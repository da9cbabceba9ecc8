# SPDX-License-Identifier: Apache-2.0
"""Names in inline code that can do no harm without another one: words of the language, counting, telling."""

import re
from typing import Final

from habitus_profiler.words import words

TAME: Final = words(
    """
    abs all and any append argv array as assert assertionerror async at await bool boolean break bytes
    calendar catch ceil charat class client close code collections column columns compact concat connect_ex
    connections console const continue count countdocuments counter datasize date datetime day days decode def
    defaultdict die do done dumps each each_with_index elif else elseif elsif empty encode encoding end
    endswith ensure enumerate err error errors esac estimateddocumentcount except exception exit exitcode
    explode false fi filter finally find findall findone first flatten float floor fn for foreach format forms
    from func function functools get getcollectionnames gethostname getindexes getresponse getstatus
    getstatuscode getutcday group_by gsub head header health healthcheck healthz hello hostname hour hours
    http httpconnection https httpsconnection if implode in includes index indexof inspect int integer io is
    isnan iso8601 isoformat isprimary iswritableprimary items iterator itertools join json json_decode
    json_encode keys lambda last lastindexof len length let limit list lists live livez loads local log lower
    map match math max mean median members metrics microtime min minutes mod month ms msg my name nan next nil
    none not now null nullptr number object ok operator ord our p pass path pathname ping pong pop pp pprint
    preg_match pretty print printf printjson println printreplicationinfo printsecondaryreplicationinfo
    process_time push puts quiet raise range re read readline readlines ready readyz reduce regex reject
    replace req request res rescue resp response reverse rjust round row rows rs rstrip runtimeerror rvalue
    scale scan search second seconds self serverstatus set setinterval settimeout shift size skip sleep slice
    sort sort_by sorted splice split sprintf sql_version startswith stat statestr statistics stats status
    status_code statuscode stddev stderr stdin stdout storagesize str stream_id strftime string stringify
    strip strlen strptime strtolower strtotime strtoupper sub substr substring sum sys systemexit then this
    throw time timedelta timeout timeouterror times title to_a to_f to_i to_json to_s toarray today tofixed
    toisostring tostring totalsize trim trimend trimstart true try tuple type typeof undef undefined uniq
    unique unless unshift until up upper uptime url urlerror urllib urlopen urlparse use utc utcnow utf utf8
    val valueerror values var vec version version_info void warn weekday while with write_concern year yield
    zip zone zoneinfo
    """
)
"""In lower case. None opens a file, a connection or a program, looks up a name, or decodes what is hidden."""

LOCAL: Final = re.compile(r"(?<![\w.$>:'\"/-])([A-Za-z_]\w*)\s*(?:=(?![=~>])|:(?![:=/]))")
"""A name that a line gives to something of its own, or by which it hands something on (`n=1`, `{n: 1}`)."""

QUIET: Final = re.compile(
    r"\bprocess\.(?:exit\w*|argv|std(?:in|out|err)|exitCode|uptime|hrtime|memoryUsage|pid|version\w*|on)\b"
    r"|\brequire\(['\"](?:node:)?(?:https?|url|path|util|querystring|timers)['\"]\)"
)
"""What of node's `process` and of its modules starts nothing."""

PATTERN: Final = re.compile(
    r"(?:(?<=[=!]~)|(?<=\bif\b)|(?<=\bunless\b)|(?<=[(,!|&])|^)\s*m?/(?:\\.|[^/\\\n]){1,300}/[gimosx]*"
)
"""A regular expression where code holds one, and no path."""
