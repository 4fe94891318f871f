"""A library of our own."""

import flask
import numpy


def create_app():
    """A web application that says hello, and does sums."""
    app = flask.Flask(__name__)

    @app.get("/hello/<name>")
    def hello(name):
        return f"Hello, {name}!"

    @app.get("/sum/<int:count>")
    def total(count):
        return str(numpy.arange(count + 1).sum())

    return app
