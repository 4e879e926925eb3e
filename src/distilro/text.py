"""One normal form for every text, whatever its source, and one key for comparing texts.

`normalise` is applied to every row when it is prepared, and the same rules are put inside the saved
tokenizer, so that a deployed model needs no pre-processing. For that reason the rules are plain
regular expressions with literal replacements, in the subset that Python's `re` and Oniguruma read
alike, applied in this order: `RULES_BEFORE_NFC`, Unicode NFC, `RULES`. The whole is idempotent.

Kept as they are: case, punctuation, emoji with their joiners and selectors, U+FFFD (counted when a
dataset is prepared). Not done here: mending mojibake, guessing the language, splitting into words.
"""

import re
import unicodedata
from dataclasses import dataclass, field

LANGUAGES = ("ro", "en")
PLACEHOLDERS = ("<ent>", "<url>", "<user>", "<tel>", "<email>")

# Spelled out, because \s is not the same set in the two regular expression engines.
_SPACES = "\t\n\x0b\x0c\r \x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_EMOJI = "\ufe0f\u2600-\u27bf\U0001f000-\U0001faff"
# An entity that lost its ampersand, with the space that stands in its place where there is one.
_BARE = "(?:(?<!&) |(?<![& ]))"
_BARE_WORD = "(?:(?<!&) |(?<![A-Za-z0-9& ]))"  # the end of a longer word is no entity
_MASKED_ENTITY = r"<\|(?:PERSON|NAME|LOCATION|ORGANIZATION|RELIGION)\|>"
_BRACKETED_ENTITY = r"\[(?:NAME|PERSON|RELIGION|LOCATION)\]"
_WWW = r"(?<![A-Za-z0-9])[Ww][Ww][Ww]\.(?=[A-Za-z0-9])"  # not the one in "awww..."
_URL = f"(?:[Hh][Tt][Tt][Pp][Ss]?://|{_WWW})[^{_SPACES}<>]+"
_DOMAIN = r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+"
_EMAIL = rf"(?<![A-Za-z0-9])[A-Za-z0-9][A-Za-z0-9._%+-]{{0,63}}@{_DOMAIN}"


@dataclass(frozen=True)
class Rule:
    """Replace every match of `pattern` by the literal `replacement`.

    `languages` names the languages the rule is for, None for all of them.
    """

    name: str
    pattern: str
    replacement: str
    languages: tuple[str, ...] | None = None
    compiled: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the pattern once."""
        object.__setattr__(self, "compiled", re.compile(self.pattern))

    def fits(self, language: str) -> bool:
        """Return whether the rule is for texts of `language`."""
        return self.languages is None or language in self.languages

    def apply(self, text: str) -> str:
        """Return `text` with every match replaced."""
        replacement = self.replacement
        return self.compiled.sub(lambda _match: replacement, text)


# Characters without a width go first: between a letter and its accent they would hide it from NFC.
RULES_BEFORE_NFC: tuple[Rule, ...] = (
    Rule("control", "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]", ""),
    Rule("zero_width", "[\xad\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]", ""),
    Rule("joiner", f"(?<![{_EMOJI}])\u200d", ""),  # kept inside emoji only
    # subtle: after a placeholder's ">" this overlay would compose into another sign.
    Rule("overlay", "\u0338", ""),
)

RULES: tuple[Rule, ...] = (
    # subtle: a second cedilla would stand before the comma in NFC's order and win the letter back.
    Rule("cedilla_s", "ş\u0327*", "ș", ("ro",)),
    Rule("cedilla_t", "ţ\u0327*", "ț", ("ro",)),
    Rule("cedilla_capital_s", "Ş\u0327*", "Ș", ("ro",)),
    Rule("cedilla_capital_t", "Ţ\u0327*", "Ț", ("ro",)),
    Rule("backslash", r"\\+", " ", ("en",)),  # AG News: a lost line break
    # Ampersands first, so that no later replacement can make a new entity.
    Rule("ampersand", "&(?:amp;|#0?38;)+", "&"),
    Rule("bare_ampersand", f"{_BARE_WORD}amp;|{_BARE}#0?38;", "&", ("en",)),
    Rule("escaped_tag", "&lt;/?[A-Za-z][^<>&]*&gt;", " "),
    Rule("less", "&lt;", "<"),
    Rule("bare_less", f"{_BARE_WORD}lt;", "<", ("en",)),
    Rule("greater", "&gt;", ">"),
    Rule("bare_greater", f"{_BARE_WORD}gt;", ">", ("en",)),
    Rule("quote", "&(?:quot|#34|#147|#148);", '"'),
    Rule("bare_quote", f"{_BARE_WORD}quot;|{_BARE}#(?:34|147|148);", '"', ("en",)),
    Rule("apostrophe", "&(?:apos|#0?39|#145|#146|#x27);", "'"),
    Rule("bare_apostrophe", f"{_BARE}(?:#0?39|#145|#146);", "'", ("en",)),
    Rule("dollar", "&#36;", "$"),
    Rule("bare_dollar", f"{_BARE}#36;", "$", ("en",)),
    Rule("dash", "&#(?:150|151|8211|8212);", "—"),
    Rule("bare_dash", f"{_BARE}#(?:150|151|8211|8212);", "—", ("en",)),
    Rule("space_entity", "&(?:nbsp|#160|#x200[Bb]);", " "),
    Rule("url", _URL, "<url>"),
    Rule("email", _EMAIL, "<email>"),
    Rule("user", "(?<![A-Za-z0-9_])(?:@[A-Za-z0-9_]{2,})+", "<user>"),
    Rule("masked_entity", rf"{_MASKED_ENTITY}|{_BRACKETED_ENTITY}|\$NE\$", "<ent>"),
    Rule("masked_url", r"<\|URL\|>", "<url>"),
    Rule("masked_user", r"<\|(?:USERNAME|USER)\|>", "<user>"),
    Rule("masked_telephone", r"<\|(?:TEL|PHONE)\|>", "<tel>"),
    Rule("masked_email", r"<\|EMAIL\|>", "<email>"),
    Rule("spaces", f"[{_SPACES}]+", " "),
    Rule("ends", "^ | $", ""),
)

_KEY_DROPPED = re.compile(
    "|".join(
        [re.escape(placeholder) for placeholder in PLACEHOLDERS]
        + [rule.pattern for rule in RULES if rule.replacement in PLACEHOLDERS]
    )
)
_KEY_PUNCTUATION = re.compile(r"[^\w\s]|_")
_COMBINING = re.compile("[\u0300-\u036f]")


def normalise(text: str, language: str) -> str:
    r"""Return the normal form of a text; a second application changes nothing.

    >>> normalise("Ştie  <|PERSON|>\u200b că plouă… http://a.ro", "ro")
    'Știe <ent> că plouă… <url>'
    >>> normalise("Google #39;s price\\is  #36;5", "en")
    "Google's price is $5"
    """
    for rule in RULES_BEFORE_NFC:
        if rule.fits(language):
            text = rule.apply(text)
    text = unicodedata.normalize("NFC", text)
    for rule in RULES:
        if rule.fits(language):
            text = rule.apply(text)
    return text


def strip_diacritics(text: str) -> str:
    """Return the text without accents and marks on letters, as people often type Romanian.

    >>> strip_diacritics("Știință și țară")
    'Stiinta si tara'
    """
    plain = _COMBINING.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", plain)


def key(text: str) -> str:
    """Return the form under which two texts count as exact copies of each other.

    Compatibility forms are folded; case, diacritics, punctuation, symbols, placeholders, URLs and
    user names are dropped; words stand one space apart. A text made of nothing else keeps its
    symbols, so that it is a copy of itself only.

    >>> key("Bună, <ent>! Țara... http://a.ro/b")
    'buna tara'
    """
    kept = _KEY_DROPPED.sub(" ", strip_diacritics(text))
    folded = unicodedata.normalize("NFKD", kept).lower()
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    words = " ".join(_KEY_PUNCTUATION.sub(" ", plain).split())
    return words or " ".join(text.lower().split())
