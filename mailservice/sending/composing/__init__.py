"""How a body becomes a page and a text: Markdown, people's own HTML, plain words; layout, styles, what is left out."""
