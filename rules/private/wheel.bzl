def py_wheel(**kwargs):
    fail()
