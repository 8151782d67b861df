from mailservice.services import related


def test_texts_that_share_rare_words_are_nearest():
    others = {
        1: "Кофе и булки к завтраку, письма клиентам",
        2: "Почтовый сервер ответил на письма отказом: сервера не принимают",
        3: "Расписание на июнь и письма",
        4: "Отказы почтовых серверов, письма и коды ответов",
    }
    assert related.nearest("Что отвечают почтовые серверы на письма", others)[:2] in ([2, 4], [4, 2])
    assert len(related.nearest("Письма", others)) == related.SHOWN
    assert related.nearest("Письма", {}) == []
