"""Prompts: three parts, in versions, one active; the library that every tenant can copy from.

checking   what a part may hold
versions   create, edit, duplicate, read
choosing   which version is active
diffing    what one version changed
library    the templates that ship with the product
"""
