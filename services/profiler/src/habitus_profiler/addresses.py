# SPDX-License-Identifier: Apache-2.0
"""Addresses and host names as habits: which stand for their network, which only for themselves."""

import ipaddress
import re
from functools import lru_cache
from typing import Final

from habitus_profiler.volatile import softened
from habitus_profiler.words import words

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# RFC 1918, RFC 6598, RFC 4193. The documentation networks count as public on purpose.
_PRIVATE: Final = tuple(
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_NETWORK_BITS: Final = {4: 24, 6: 64}
_LABEL: Final = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?$")
_MEMBER: Final = re.compile(r"([a-z][a-z0-9-]{0,40})-\d{1,3}\.\1(?=\.|\Z)")
"""A Pod of a StatefulSet by its own Service: `es-0.es`, which is no domain of Spain."""
_MIN_SUFFIX_LABELS: Final = 2
_LONGEST_OWNER: Final = 64
_STABLE_PORTS: Final = 32768

# Under these, neighbours belong to strangers: a suffix learned from two of them says nothing.
_SHARED: Final = words(
    """
    co.uk org.uk ac.uk gov.uk com.cn net.cn org.cn com.au net.au co.jp ne.jp co.kr com.br com.tw co.in com.tr
    com.mx co.za com.sg com.hk amazonaws.com s3.amazonaws.com cloudfront.net elasticbeanstalk.com github.io
    githubusercontent.com gitlab.io herokuapp.com netlify.app vercel.app pages.dev workers.dev web.app
    firebaseapp.com appspot.com run.app azurewebsites.net blob.core.windows.net cloudapp.net
    digitaloceanspaces.com onrender.com fly.dev ngrok.io ngrok.app ngrok-free.app trycloudflare.com
    mongodb.net supabase.co r2.dev cloudflarestorage.com backblazeb2.com wasabisys.com linodeobjects.com
    slack.com atlassian.net zendesk.com sharepoint.com service-now.com salesforce.com snowflakecomputing.com
    oast.pro oast.live oast.fun oast.me interact.sh requestbin.net pipedream.net webhook.site beeceptor.com
    myshopify.com webflow.io surge.sh replit.app repl.co glitch.me loca.lt serveo.net hopto.org ddns.me
    telebit.io localhost.run azurefd.net azureedge.net trafficmanager.net edgekey.net akamaized.net b-cdn.net
    fastly.net netlify.com hubspot.com readthedocs.io hf.space gradio.live streamlit.app deno.dev duckdns.org
    no-ip.org ddns.net nip.io sslip.io blogspot.com wordpress.com aliyuncs.com myqcloud.com in-addr.arpa
    ip6.arpa
    """
)
# A last label that makes a dotted word a host name and not a file or a module.
_ZONES: Final = words(
    """
    com net org io dev app cloud ai co me info biz xyz top site online club shop tech store live pro
    edu gov mil int arpa local internal intranet lan corp home svc cluster onion example test invalid
    localdomain consul mesh name mobi link click work space website fun icu vip
    ac ad ae af ag al am ao ar at au az ba bd be bg bh bn bo br bw by bz ca cd cf ch ci cl cm cn cr cu
    cx cy cz de dk do dz ec ee eg es et eu fi fm fo fr ga gd ge gg gh gl gq gr gt hk hn hr ht hu id ie
    il im in iq ir is it jo jp ke kg kh kr kw kz la lb lc li lk lt lu lv ly ma mc mk ml mm mn mo
    mt mu mv mx my mz na ng ni nl no np nu nz om pa pe pf ph pk pr pt pw py qa re ro ru rw sa sb sc sd
    se sg si sk sl sm sn st su sv sx sy sz tc td tg th tj tk tm tn to tr tt tv tw tz ua ug uk us uy uz
    va vc ve vg vn vu ws ye za zm zw
    """
)
# Where many owners' images, models and sources lie, the first folder is the owner.
_OWNED_BELOW: Final = words(
    """
    docker.io registry-1.docker.io index.docker.io quay.io ghcr.io gcr.io lscr.io public.ecr.aws
    registry.gitlab.com github.com gitlab.com bitbucket.org codeberg.org raw.githubusercontent.com
    codeload.github.com huggingface.co hf.co gist.github.com
    """
)
BUCKETS: Final = frozenset(
    {"s3", "s3a", "s3n", "gs", "gcs", "az", "abfs", "abfss", "wasb", "wasbs", "oss", "cos", "b2"}
)
"""Schemes behind which a bucket is named, and no host: whoever comes first owns the name."""
# Names that Kubernetes puts before its labels, and those among them that are hosts.
_LABELS: Final = ("k8s.io", "kubernetes.io")
_SERVED: Final = frozenset({"registry.k8s.io", "dl.k8s.io", "pkgs.k8s.io", "k8s.gcr.io"})
_GROUP: Final = re.compile(r"v\d{1,2}(?:(?:alpha|beta)\d{1,2})?\Z")
"""The version of a group of Kubernetes' resources: `monitoring.coreos.com/v1`."""
_NO_HOST: Final = re.compile(r"[A-Z][a-z]+file\.(?:test|dev|local)\Z|(?:[A-Z]{2,8}|rsa|dsa|ec|ed25519):\d+\Z")
"""`Containerfile.test`, `EPSG:3857`, `rsa:2048`: files and measures that are spelt as hosts are."""
# Names that somebody gives inside a cluster or a company, not for money and for good.
_INTERNAL: Final = words(
    "svc cluster local internal intern intranet lan corp home localdomain consul mesh private"
)
# Whatever stands below these, a stranger may own the neighbour.
_SHARED_BELOW: Final = (
    ".amazonaws.com", ".cloudapp.azure.com", ".core.windows.net", ".googleusercontent.com", ".aliyuncs.com",
    ".myqcloud.com", ".in-addr.arpa", ".ip6.arpa",
)  # fmt: skip


def is_no_host(text: str) -> bool:
    """Say whether a file, a measure or a label (`app.kubernetes.io/name`) is only spelt as a host is."""
    name, slash, version = text.partition("/")
    is_label = slash and ((name.endswith(_LABELS) and name not in _SERVED) or _GROUP.match(version))
    return bool(is_label) or _NO_HOST.match(text) is not None


@lru_cache(maxsize=8192)
def parsed(text: str) -> Address | None:
    """Return the address that `text` spells (brackets and zone allowed), or None."""
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def address_class(address: Address) -> str:
    """Return `loopback`, `any`, `link-local`, `private`, `multicast` or `public`."""
    if address.is_loopback:
        return "loopback"
    if address.is_unspecified:
        return "any"
    if address.is_link_local:
        return "link-local"
    if address.is_multicast:
        return "multicast"
    return "private" if any(address in net for net in _PRIVATE) else "public"


def network_of(address: Address) -> str:
    """Return the /24 (IPv4) or /64 (IPv6) of an address, as text."""
    bits = _NETWORK_BITS[address.version]
    return str(ipaddress.ip_network((address, bits), strict=False))


@lru_cache(maxsize=8192)
def remote_of(host: str) -> str:
    """Return what a command line's remote is known by.

    Loopback by that word; private addresses by their network; every other address by itself (the
    cloud's metadata service is link-local); a name in lower case with its volatile parts typed.
    """
    if host in {"+", "*"}:
        return "any"
    address = parsed(host)
    if address is None:
        name = host.rstrip(".").lower()
        return "loopback" if name == "localhost" else _name_of(name)
    kind = address_class(address)
    if kind in {"loopback", "any"}:
        return kind
    return network_of(address) if kind == "private" else str(address)


def _name_of(name: str) -> str:
    """Type the volatile parts of a name, but not of the domain that somebody has to own."""
    member = _MEMBER.match(name)
    if member:
        return f"{member[1]}-<number>.{member[1]}{name[member.end() :]}"
    labels = name.split(".")
    owned = _MIN_SUFFIX_LABELS if len(labels) > _MIN_SUFFIX_LABELS or labels[-1] in _ZONES else 0
    if owned >= len(labels) or name.isdigit() or name.startswith("0x"):
        return name
    typed = [softened(label) for label in labels[: len(labels) - owned]]
    return ".".join([*typed, *labels[len(labels) - owned :]])


def is_name(text: str) -> bool:
    """Say whether `text` is spelt as a host name (one label is enough)."""
    return _NAME.match(text) is not None and not text.isdigit()


def is_full_name(text: str) -> bool:
    """Say whether `text` is a dotted name that ends in a known zone, as `db.shop.svc`."""
    if not is_name(text) or "." not in text.rstrip("."):
        return False
    return text.rstrip(".").rpartition(".")[2].lower() in _ZONES


def owner_of(remote: str, scheme: str, path: str) -> str:
    """Return a remote with the folder that names its owner, where one host holds many owners' things.

    A bucket is known with its scheme.
    """
    if scheme in BUCKETS and "." not in remote:
        return f"{scheme}:{remote}"
    owner = path.strip("/").partition("/")[0].lower()
    return f"{remote}/{owner[:_LONGEST_OWNER]}" if owner and remote in _OWNED_BELOW else remote


def suffix_of(name: str) -> str | None:
    """Return the domain above a host, where its neighbours may be trusted alike, else None."""
    suffix = name.partition(".")[2]
    if suffix.count(".") + 1 < _MIN_SUFFIX_LABELS or suffix in _SHARED or suffix.endswith(_SHARED_BELOW):
        return None
    return None if parsed(name) else suffix


def port_of(remote: str, port: int | None) -> str:
    """Return the text of a port behind a remote: one that the kernel gave says nothing."""
    if port is None:
        return ""
    return ":<port>" if port >= _STABLE_PORTS or remote == "loopback" else f":{port}"


def is_domain(name: str) -> bool:
    """Say whether a host is itself a domain that one owner has: `shop.example`."""
    labels = name.count(".") + 1
    shared = name in _SHARED or name in _OWNED_BELOW or name.endswith(_SHARED_BELOW)
    return labels == _MIN_SUFFIX_LABELS and not shared and not name.rpartition(".")[2].isdigit()


def is_internal(name: str) -> bool:
    """Say whether a name's last label is one that is given inside a cluster or a company.

    No zone of the world has a hyphen in its name but in Punycode: `db-0.db-headless` is a Pod.
    """
    last = name.rpartition(".")[2]
    return last in _INTERNAL or ("-" in last and not last.startswith("xn--"))


def is_inside(remote: str) -> bool:
    """Say whether a remote lies inside a cluster or a company: a private network, an internal name."""
    if remote.endswith(("/24", "/64")):
        return True
    return "." in remote and is_internal(remote)
