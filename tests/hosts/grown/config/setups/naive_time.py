"""Instants without a zone, as in projects of before Django 5."""

from config.settings import *

USE_TZ = False
