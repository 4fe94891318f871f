"""Web pages."""

import flask

import words


def make_app():
    app = flask.Flask(__name__)

    @app.get("/<name>")
    def page(name):
        return flask.render_template_string("<p>{{ text }}</p>", text=words.greeting(name))

    return app
