def py_venv_link(**kwargs):
    fail()
