from mailservice.sending.unsubscribe_token import key, read, token

KEY = key("a key of this installation, long enough")


def test_a_token_tells_whose_mail_and_to_whom():
    assert read(KEY, token(KEY, 7, "anna@example.org")) == (7, "anna@example.org")
    assert read(KEY, token(KEY, 2**60, "анна@xn--e1afmkfd.xn--p1ai")) == (2**60, "анна@xn--e1afmkfd.xn--p1ai")


def test_a_token_fits_a_header_line_and_a_url():
    made = token(KEY, 7, "a" * 64 + "@" + "b" * 185 + ".org")
    assert made.replace("-", "").replace("_", "").isalnum()
    assert len(made) < 600


def test_a_token_of_another_key_or_with_a_changed_letter_says_nothing():
    made = token(KEY, 7, "anna@example.org")
    assert read(key("another installation"), made) is None
    for position in range(len(made) - 1):
        changed = made[:position] + ("A" if made[position] != "A" else "B") + made[position + 1 :]
        assert read(KEY, changed) is None


def test_nonsense_is_no_token():
    for text in ("", "x", "=", "....", "приветпривет", "A" * 5000, "\x00", "AAAA" * 8):
        assert read(KEY, text) is None
