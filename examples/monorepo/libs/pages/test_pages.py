import pages


def test_greets():
    assert pages.make_app().test_client().get("/Ada").text == "<p>Hello, Ada!</p>"
