#!/usr/bin/env bash
# A certificate authority of your own, and certificates of it:  certificates.sh FOLDER NAME...
# One NAME for each machine and app server. Makes FOLDER/ca.pem, and NAME.pem with NAME.key; what is there is kept.
#
# Whoever holds a certificate of this authority may connect, as scheduler, worker or client, and a client may run any
# code on the workers. So: ca.key stays on the machine where certificates are made, each machine gets ca.pem and its
# own two files, readable by the lab's user alone. There is no list of revoked ones: a lost key means a new authority.
set -euo pipefail
folder=$1
shift
umask 077
mkdir -p "$folder"
cd "$folder"
key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)
if [[ ! -e ca.key ]]; then
  openssl req -x509 "${key[@]}" -days 3650 -subj "/CN=Clip and Prune Lab" -keyout ca.key -out ca.pem
fi
for name in "$@"; do
  if [[ -e $name.pem ]]; then continue; fi
  openssl req "${key[@]}" -subj "/CN=$name" -keyout "$name.key" -out "$name.csr"
  openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 825 -out "$name.pem"
  rm "$name.csr"
done
