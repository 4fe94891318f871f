import greeting

assert greeting.hello("Ada") == "Hello, Ada!"
