"""Environments of the wheels here, and what is made of such."""

load("@venvtree//rules:defs.bzl", "py_venv", "py_venv_archive", "py_venv_image", "py_venv_layers", "py_venv_link")

_BOTH = [":alpha", ":beta"]
_LIBRARY = ["//library"]

# Of an interpreter that is part of the build, for another platform, and with packages of others.
_ENVIRONMENTS = {
    "arm_env": {"interpreter": ":arm", "wheels": [":beta"]},
    "inbuild_beta_env": {"interpreter": "@cpython//:python", "wheels": [":beta"]},
    "inbuild_env": {"interpreter": "@cpython//:python", "wheels": _BOTH},
    "pytest_env": {"wheels": _BOTH + ["@pypi//:all"]},
}

_PRODUCTS = {
    "archive": (py_venv_archive, ":env", {"deps": _LIBRARY, "format": "tar", "prefix": "opt/app"}),
    "based_image": (py_venv_image, ":env", {"base": ":image", "prefix": "opt/based", "tag": "based"}),
    "compiled_archive": (py_venv_archive, ":compiled_env", {"deps": _LIBRARY, "format": "tar"}),
    "compiled_env.link": (py_venv_link, ":compiled_env", {"path": "ide/compiled"}),
    "compiled_inbuild_layers": (py_venv_layers, ":compiled_inbuild_env", {"deps": _LIBRARY}),
    "compiled_layers": (py_venv_layers, ":compiled_env", {"alone": ["alpha"], "deps": _LIBRARY}),
    "env.link": (py_venv_link, ":env", {"path": "ide/venv"}),
    "image": (py_venv_image, ":env", {
        "deps": _LIBRARY,
        "entrypoint": ["/srv/app/bin/alpha-tool"],
        "prefix": "srv/app",
        "tag": "app",
    }),
    "inbuild_archive": (py_venv_archive, ":inbuild_env", {"deps": _LIBRARY}),
    "inbuild_beta_layers": (py_venv_layers, ":inbuild_beta_env", {"prefix": "srv/app"}),
    "inbuild_image": (py_venv_image, ":inbuild_env", {
        "deps": _LIBRARY,
        "entrypoint": ["/srv/app/bin/alpha-tool"],
        # Pythons that are made to be fetched find their library beside them; that of this machine, where it was installed.
        "env": {"LD_LIBRARY_PATH": "/srv/app/.python/lib"},
        "prefix": "srv/app",
        "tag": "app",
        "user": "65532:65532",
    }),
    "inbuild_layers": (py_venv_layers, ":inbuild_env", {"alone": ["alpha"], "deps": _LIBRARY, "prefix": "srv/app"}),
    "layers": (py_venv_layers, ":env", {"alone": ["Beta.Package"], "deps": _LIBRARY, "prefix": "srv/app"}),
    "zip": (py_venv_archive, ":env", {"format": "zip"}),
}

# buildifier: disable=unnamed-macro
def products():
    """Environments, and archives, layers, images and links, by their names."""
    for name, attributes in _ENVIRONMENTS.items():
        py_venv(name = name, **attributes)
    for name, (rule, venv, attributes) in _PRODUCTS.items():
        rule(name = name, venv = venv, **attributes)
