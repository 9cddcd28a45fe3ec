# The first process of a node's box: a pid and mount namespace of its own, inside the node's network namespace.
# Its end is the end of every process in it, and with the last of them of every mount that containers made.
set -eu
directory=$1 programs=$2 node=$3 address=$4

# containerd, libcni and kubelet write there whatever their configuration says.
for folder in /run /var/lib /var/log; do
  mount -t tmpfs box "$folder"
done

containerd --config "$directory/containerd.conf" >>"$directory/logs/containerd.log" 2>&1 &
"$programs/kube-proxy" --config "$directory/kube-proxy.conf" >>"$directory/logs/kube-proxy.log" 2>&1 &

# kubelet ends at once if containerd does not answer.
until ctr --address "$directory/containerd/containerd.sock" version; do sleep 0.1; done >/dev/null 2>&1
ctr --address "$directory/containerd/containerd.sock" --namespace k8s.io images import "$directory/tools.tar"
"$programs/kubelet" --config "$directory/kubelet.conf" --kubeconfig "$directory/kubelet.kubeconfig" \
  --root-dir "$directory/kubelet" --cert-dir "$directory/kubelet-pki" \
  --hostname-override "$node" --node-ip "$address" >>"$directory/logs/kubelet.log" 2>&1 &

# The shims of containers come to be children of this process, which reaps them here.
while :; do wait -n || sleep 1; done
