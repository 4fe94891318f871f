"""Commands for the terminal."""

import sys

import click

import words


@click.command()
@click.argument("name", default="world")
def greet(name):
    click.echo(words.greeting(name))


@click.command()
@click.argument("text", nargs=-1)
def count(text):
    click.echo(words.count(" ".join(text) or sys.stdin.read()))
