# SPDX-License-Identifier: Apache-2.0
import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from habitus.text import decoded, printable, safe_json


def test_terminal_escapes_and_bidi_marks_are_shown_not_obeyed():
    assert printable("a\x1b[31mred\x07") == "a\\x1b[31mred\\x07"
    assert printable("file\u202etxt.exe") == "file\\u202etxt.exe"
    assert printable("line\nbreak\r\u2028") == "line\\nbreak\\r\\u2028"


def test_ordinary_text_of_any_language_is_left_alone():
    assert printable("高危：容器挖矿行为检测 – café") == "高危：容器挖矿行为检测 – café"


@given(st.text(alphabet=st.characters(), max_size=50), st.integers(1, 60))
def test_nothing_unsafe_gets_through(text, limit):
    shown = printable(text, limit)
    assert not any(unicodedata.category(one) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for one in shown)


@given(st.binary(max_size=50))
def test_bytes_from_the_kernel_always_decode(raw):
    assert isinstance(decoded(raw), str)


def test_bytes_that_are_not_utf8_keep_their_value():
    assert decoded(b"a\xff\xfeb") == "a\\xff\\xfeb"


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=50))
def test_json_that_is_safe_to_show_means_the_same(text):
    shown = safe_json(json.dumps(text, ensure_ascii=False))
    assert json.loads(shown) == text
    assert printable(shown) == shown


def test_json_that_is_safe_to_show_leaves_ordinary_text_alone():
    assert safe_json('{"a": "高危 café"}') == '{"a": "高危 café"}'
    assert safe_json('"\u202e\x7f\U000e0001"') == r'"\u202e\u007f\udb40\udc01"'
