#!/usr/bin/env bash
# A device whose key lies in a TPM: enrolment, polls, downloads and renewals prove themselves with it, and no private key is on the disk.
# swtpm is the TPM, tpm2-abrmd its resource manager on a session bus of this test's own: a bare swtpm cannot keep a TLS 1.3 handshake apart
# from the next one.
[ -n "${FLEET_TEST_BUS:-}" ] || exec env FLEET_TEST_BUS=1 dbus-run-session -- bash "$0" "$@"
. "$(dirname "$0")/lib.sh"
# The TPM's provider leaks, above all for a key that is not there, and sanitizers do not see into GLib, which it talks through.
export ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=ignore_noninstrumented_modules=1
mkdir "$work/tpm"
for try in 1 2 3 4 5 6 7 8; do
  port=$((20000 + RANDOM % 12000))
  swtpm socket --tpm2 --tpmstate "dir=$work/tpm" --server "type=tcp,bindaddr=127.0.0.1,port=$port" \
    --ctrl "type=tcp,bindaddr=127.0.0.1,port=$((port + 1))" --flags not-need-init,startup-clear >>"$work/swtpm.log" 2>&1 & tpm=$!
  until_true 1 grep -q swtpm "/proc/$tpm/comm" 2>/dev/null
  until_true 2 bash -c "exec 3<>/dev/tcp/127.0.0.1/$((port + 1))" 2>/dev/null && kill -0 "$tpm" 2>/dev/null && break
done
others+=("$tpm")
allow=; [ "$(id -u)" -ne 0 ] || allow=--allow-root
start_manager() { tpm2-abrmd --session $allow --tcti "swtpm:host=127.0.0.1,port=$port" >>"$work/abrmd.log" 2>&1 & manager=$!; others+=("$manager"); }
stop_manager() { kill "$manager"; wait "$manager" 2>/dev/null; }
start_manager
export TPM2TOOLS_TCTI=tabrmd:bus_type=session TPM2OPENSSL_TCTI=tabrmd:bus_type=session
expect "there is a TPM" until_true 20 tpm2_getrandom 4 -o /dev/null -Q
make_key() {
  tpm2_createprimary -Q -C o -g sha256 -G ecc -c "$work/primary" &&
    tpm2_create -Q -C "$work/primary" -G ecc256:ecdsa -u "$work/key.pub" -r "$work/key.priv" -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign' &&
    tpm2_load -Q -C "$work/primary" -u "$work/key.pub" -r "$work/key.priv" -c "$work/key.ctx" && tpm2_evictcontrol -Q -C o -c "$work/key.ctx" 0x81000001
}
expect "which makes a key" make_key
make_wrap_key() {
  tpm2_create -Q -C "$work/primary" -G ecc256:null -u "$work/wrap.pub" -r "$work/wrap.priv" -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|decrypt' &&
    tpm2_load -Q -C "$work/primary" -u "$work/wrap.pub" -r "$work/wrap.priv" -c "$work/wrap.ctx" && tpm2_evictcontrol -Q -C o -c "$work/wrap.ctx" 0x81000002
}
expect "and one that may decrypt, and signs nothing" make_wrap_key
server_options=(--certificate-lifetime 15s)
init_server; start_server
ctl model create m >/dev/null
mkdir "$work/d1"
run_as=; [ "$(id -u)" -ne 0 ] || run_as="exec: {run_as: nobody}"
printf 'telemetry: {interval: 1s}\n%s\n' "$run_as" >"$work/d1/agent.yaml"
ctl device token create --id d1 --hardware cam-a >"$work/d1.token"
enroll() { "$bin/fleet-agent" enroll --root "$work/d1" --server "$devices" --ca "$FLEETCTL_CA" --token-file "$work/d1.token" "$@"; }
expect_code "a key that is not there is named" 8 enroll --key handle:0x81000099
expect "it says which" grep -q 'handle:0x81000099' "$work/last.err"
expect "the device enrols with the TPM's key" enroll --key handle:0x81000001 --wrap-key handle:0x81000002
expect "no private key is on the disk" bash -c "! grep -rl 'PRIVATE KEY' '$work/d1'"
start_agent d1
make_release "$work/v1" one; publish 1 "$work/v1"
r=$(roll_out 1)
expect "a release arrives" until_true 40 content_is d1 one
expect "its rollout completes" ctl rollout wait "$r" --timeout 30s
serial() { openssl x509 -in "$work/d1/identity/certificate.pem" -noout -serial; }
key() { openssl x509 -in "$work/d1/identity/certificate.pem" -noout -pubkey; }
first=$(serial) first_key=$(key)
renewed() { [ "$(serial)" != "$first" ]; }
expect "the certificate renews" until_true 30 renewed
expect "for the same key" test "$(key)" = "$first_key"
expect "still none on the disk" bash -c "! grep -rl 'PRIVATE KEY' '$work/d1'"
# A protected model's key comes encrypted to the second one.
ctl model set m --protected disk >/dev/null || fail "protected from now on"
make_release "$work/v2" two; publish 2 "$work/v2"
r=$(roll_out 2)
expect "a data key comes to a key that never leaves the TPM" until_true 60 content_is d1 two
expect "its rollout completes" ctl rollout wait "$r" --timeout 30s
expect "and still none is on the disk" bash -c "! grep -rl 'PRIVATE KEY' '$work/d1'"
# What manages the TPM comes up after the agent.
new_agent d2 "" --wrap-key handle:0x81000002
stop_manager
start_agent d2
r=$(ctl rollout create --release m@2 -l id=d2 --policy "$work/policy.yaml" --start -o name)
expect "without the TPM it cannot open what it is sent, and says why" until_true 30 grep -q "update.try_failed .*code=key_device" "$work/d2.agent.log"
start_manager
expect "and goes on when there is one" ctl rollout wait "$r" --timeout 60s
expect "to the very bytes" content_is d2 two
# What manages it began anew under those who run: to them the TPM answers no more.
make_release "$work/v3" three; publish 3 "$work/v3"
roll_out 3 >/dev/null
both_run() {  # as a service manager would
  kill -0 "${agent_pid[d1]}" 2>/dev/null || start_agent d1
  content_is d1 three && content_is d2 three
}
expect "both go on where it began anew" until_true 90 both_run
expect "who was cut off noticed" grep -q key_device.lost "$work/d1.agent.log"
