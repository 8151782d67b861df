"""What may stand in a letter: elements, attributes, schemes of links, properties of styles."""


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TAGS = words(
    "a abbr address article b big blockquote br caption center cite code col colgroup dd del div dl dt em figcaption "
    "figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark ol p pre q s samp section small span "
    "strike strong sub sup table tbody td tfoot th thead tr tt u ul var wbr"
)
# They go with all that is in them.
DROPPED = words("script noscript template title iframe object embed audio video svg math textarea select")
SILENT = words("html head body meta link base style title")  # left out as a matter of course
SIZES = {"align", "valign", "width", "height", "bgcolor"}
ATTRIBUTES = {
    "*": {"style", "class", "id", "title", "dir", "lang", "role", "align"},
    "a": {"href", "name", "target"},
    "img": {"src", "alt", "border", *SIZES},
    "table": {"border", "cellpadding", "cellspacing", *SIZES},
    **{name: {"colspan", "rowspan", "nowrap", *SIZES} for name in ("td", "th")},
    **dict.fromkeys(("tr", "thead", "tbody", "tfoot", "col", "colgroup", "hr"), SIZES),
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
    "ul": {"type"},
}
SCHEMES = frozenset({"http", "https", "mailto", "tel"})
# Of a box, a text, a table; nothing that lays one thing over another.
_PARTS = ("", "-width", "-style", "-color")
_EDGES = [f"-{edge}{part}" for edge in ("top", "right", "bottom", "left") for part in _PARTS]
STYLES = words(
    "background background-color background-image background-position background-repeat background-size border "
    "border-collapse border-color border-radius border-spacing border-style border-width box-shadow box-sizing clear "
    "color color-scheme direction display float font font-family font-size font-style font-variant font-weight height "
    "letter-spacing line-height list-style list-style-position list-style-type margin max-height max-width min-height "
    "min-width opacity outline overflow overflow-wrap padding table-layout text-align text-decoration text-indent "
    "text-overflow text-transform vertical-align visibility white-space width word-break word-spacing word-wrap "
    "border-top-left-radius border-top-right-radius border-bottom-left-radius border-bottom-right-radius"
) | {f"{name}{edge}" for name in ("border", "margin", "padding") for edge in _EDGES}
VOID = words("br hr img col wbr")
