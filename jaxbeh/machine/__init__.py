"""The machine that jaxbeh runs on: its software, its devices, its memory and its disks."""
