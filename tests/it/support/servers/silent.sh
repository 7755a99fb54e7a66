#!/bin/sh
# A program that says nothing.
exec sleep 600
