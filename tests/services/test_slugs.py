import pytest

from mailservice.services import slugs


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Чистый список важнее большого", "chistyy-spisok-vazhnee-bolshogo"),
        ("Съешь ещё этих мягких французских булок", "sesh-eshche-etikh-myagkikh-frantsuzskikh-bulok"),
        ("Щи, объезд & Юрий's «жёлтый» № 5!", "shchi-obezd-yuriys-zheltyy-no-5"),
        ("й в разложенном виде: й", "y-v-razlozhennom-vide-y"),
        ("Ünïcode: straße, Łódź", "unicode-strasse-lodz"),
        ("Привіт, Їжак і Ґанок", "privit-yizhak-i-ganok"),
        ("日本語 ?!", "post"),
        ("../../etc/passwd", "etc-passwd"),
    ],
)
def test_a_title_becomes_words_in_latin_letters(title, slug):
    assert slugs.make(title) == slug
    assert slugs.make(slug) == slug


def test_a_long_title_is_cut_at_a_words_end():
    slug = slugs.make("слово " * 60)
    assert len(slug) <= slugs.LONGEST
    assert set(slug.split("-")) == {"slovo"}
    assert len(slugs.make("ы" * 300)) == slugs.LONGEST
