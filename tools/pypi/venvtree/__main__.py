from venvtree import main

main()
