#!/bin/sh
# X-Hub-Signature with openssl:  sign.sh SECRET UNIX_SECONDS NONCE FILE
# The secret is the text as it was given to you, not what its hex digits stand for.
set -eu
digest=$( (printf '%s.%s.' "$2" "$3"; cat "$4") | openssl dgst -sha256 -hmac "$1" -r | cut -d' ' -f1)
printf 't=%s,n=%s,v1=%s\n' "$2" "$3" "$digest"
