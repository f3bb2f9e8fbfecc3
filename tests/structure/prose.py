#!/usr/bin/env python3
"""prose.py SOURCE: no line of a page goes beyond column 120, no sentence of a page for users has more than 30 words, and links
between pages lead somewhere.

Code, tables and pictures are left out. A name in code is one word, and a link is the words that it shows. What a page is for
follows from docs/README.md: the pages that it lists under "Learn" and "Do" are counted, and README.md.
"""
import re
import sys
from pathlib import Path

LONGEST_LINE = 120
LONGEST_SENTENCE = 30
COUNTED_SECTIONS = ("Learn", "Do")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


def prose_of(text):
    """Pairs of line number and line, "" between paragraphs."""
    fence = None
    behind_blank, indented_code = True, False
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if fence:
            fence = None if stripped == fence else fence
            yield number, ""
            continue
        if stripped.startswith("```"):
            fence = "```"
            yield number, ""
            continue
        # Four blanks are code behind an empty line, or behind code, unless a list goes on there: its text is indented by two.
        indented_code = line.startswith("    ") and (behind_blank or indented_code)
        behind_blank = not stripped
        if not stripped or indented_code or stripped.startswith(("|", "<", "#")):
            yield number, ""
        else:
            yield number, line


def long_lines(text):
    for number, line in prose_of(text):
        if len(line) > LONGEST_LINE:
            yield number, f"{len(line)} columns, {LONGEST_LINE} are allowed"


def paragraphs(text):
    """Pairs of line number and text; an element of a list is a paragraph."""
    begin, lines = 0, []
    for number, line in [*prose_of(text), (0, "")]:
        element = re.match(r"\s*([-*]|\d+\.)\s+(.*)", line)
        if lines and (not line or element):
            yield begin, " ".join(lines)
            lines = []
        if line:
            begin = begin if lines else number
            lines.append(element[2] if element else line.strip())


def shown_of_link(link):
    """A page that is named by its path is a word, with which a sentence may begin."""
    return "Page" if re.fullmatch(r"[\w./-]+[./][\w./-]+", link[1]) else link[1]


def long_sentences(text):
    for number, paragraph in paragraphs(text):
        shown = re.sub(r"(`+).+?\1", "Code", LINK.sub(shown_of_link, paragraph))
        for sentence in re.split(r"(?<=[.!?])[)\"*]*\s+(?=[\"(*]*[A-Z0-9])", shown):
            words = sum(any(map(str.isalnum, word)) for word in sentence.split())
            if words > LONGEST_SENTENCE:
                yield number, f"a sentence of {words} words, {LONGEST_SENTENCE} are allowed: {sentence[:60]}..."


def anchors(page):
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def lost_links(page, text):
    for number, line in enumerate(text.splitlines(), 1):
        for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"", line):
            path, _, anchor = "".join(target).partition("#")
            to = (page.parent / path).resolve() if path else page
            if re.match(r"[a-z]+:", path):
                continue
            if not to.exists():
                yield number, f"a link to {path}, which is not there"
            elif anchor and to.suffix == ".md" and anchor not in anchors(to):
                yield number, f"a link to #{anchor}, which is no heading of {to.name}"


def counted_pages(docs):
    """README.md and the pages of the index that tell how to do something."""
    section, pages = None, {docs.parent / "README.md"}
    for line in (docs / "README.md").read_text().splitlines():
        if line.startswith("## "):
            section = line[3:].split()[0].rstrip(":")
        if section in COUNTED_SECTIONS:
            pages |= {(docs / page).resolve() for page in re.findall(r"\]\(([^)#]+\.md)", line)}
    return pages


def main(source):
    pages = [*source.glob("*.md"), *source.glob("docs/**/*.md"), *source.glob("benchmarks/**/*.md"), *source.glob("tests/*/*.md")]
    counted = counted_pages(source / "docs") if "--all" not in sys.argv else pages
    found = 0
    for page in sorted(pages):
        text = page.read_text()
        wrong = [*long_lines(text), *lost_links(page, text)] + (list(long_sentences(text)) if page in counted else [])
        for number, what in sorted(wrong):
            print(f"{page.relative_to(source)}:{number}: {what}")
        found += len(wrong)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
