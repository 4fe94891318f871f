"""A test of our own."""

import pytest
from greeting.greeting import create_app


@pytest.fixture
def client():
    return create_app().test_client()


def test_greets_by_name(client):
    assert client.get("/hello/Ada").text == "Hello, Ada!"


def test_adds_up(client):
    assert client.get("/sum/4").text == "10"
