def py_venv_archive(**kwargs):
    fail()
