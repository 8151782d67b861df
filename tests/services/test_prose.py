import pytest

from mailservice.services import prose


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "![x](javascript:alert(1))",
        '![x" onerror="alert(1)](https://e.org/x.png)',
        "<img src=x onerror=alert(1)>",
        '[x](https://e.org "a\\" onclick=\\"alert(1)")',
        '<https://e.org/"onmouseover=alert(1)>',
        "<style>*{display:none}</style>",
        "<iframe src=https://e.org></iframe>",
    ],
)
def test_nothing_that_runs_comes_through(text):
    html = prose.to_html(text)
    tags = [part.split(">")[0] for part in html.split("<")[1:]]
    assert not any(tag.startswith(("script", "img", "style", "iframe")) for tag in tags)
    assert not any(word in tag.split('"')[0] or f' {word}="' in tag for tag in tags for word in ("onerror", "onclick"))
    assert 'href="javascript' not in html
    assert 'href="data' not in html


def test_markdown_becomes_html_with_the_title_as_the_only_first_heading():
    html = prose.to_html(
        "# Big\n\n*a* **b** ~~c~~\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n![a lamp](https://e.org/lamp.png)"
    )
    assert "<h2>Big</h2>" in html
    assert "<em>a</em> <strong>b</strong> <s>c</s>" in html
    assert "<td>2</td>" in html
    assert '<a href="https://e.org/lamp.png" rel="noopener">a lamp</a>' in html


def test_the_summary_is_the_first_words_without_marks():
    text = "# Heading\n\nThe **first** paragraph,\nwith [a link](https://e.org).\n\n- a list\n\nThe second one."
    assert prose.summary(text) == "The first paragraph, with a link. The second one."
    assert prose.summary("слово " * 100, longest=40) == "слово слово слово слово слово слово…"
    assert prose.summary("# Only a heading") == "Only a heading"
    assert prose.summary("") == ""
