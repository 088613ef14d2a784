"""`python -m jaxbeh` is the command `jaxbeh`."""

from jaxbeh.cli import main

main()
