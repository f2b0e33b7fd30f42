#!/bin/sh
# What build scripts call as archiver.
exec "$ZIG" ar "$@"
