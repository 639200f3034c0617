"""Hessian-vector products and the largest Hessian eigenvalue by one of the Python tools, on request.

Arguments: tool (curvlinops, hessian-eigenthings or pyhessian), model directory, file with a batch, number of threads.
Requests: {"command": "hvp"} answers with the seconds of one product; {"command": "largest", "tolerance": 0.01, "iterations":
20} (a limit for the tool that does not stop by itself) with the seconds, the eigenvalue and the products that it took;
{"command": "peak"} with the peak of resident memory since the last such request, in bytes.
"""

import functools
import json
import sys
import time
import warnings

import torch
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from networks import load_network

warnings.filterwarnings("ignore")
tool, directory, file, threads = sys.argv[1:5]
torch.set_num_threads(int(threads))
torch.manual_seed(0)
network, inputs, targets = load_network(directory, load_file(file))
parameters = [p for p in network.parameters() if p.requires_grad]
size = sum(p.numel() for p in parameters)


class Rows(torch.nn.Module):
    """Logits [rows, classes], whatever the network's batch is."""

    def __init__(self):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x).flatten(0, -2)


rows = Rows()
labels = targets.flatten()
criterion = torch.nn.CrossEntropyLoss()


class Counted:
    """Counts the products that an eigenvalue takes."""

    def __init__(self, product):
        self.product, self.count = product, 0

    def __call__(self, v):
        self.count += 1
        return self.product(v)


def curvlinops_tool():
    import scipy.sparse.linalg as sparse
    from curvlinops import HessianLinearOperator

    operator = HessianLinearOperator(
        rows, criterion, parameters, [(inputs, labels)], check_deterministic=False, num_data=1, batch_size_fn=lambda _: 1
    )
    product = Counted(lambda v: operator @ v)

    def largest(tolerance, iterations):
        scipy_operator = sparse.LinearOperator(
            (size, size),
            matvec=lambda v: product(torch.from_numpy(v.astype("float32"))).numpy(),
            dtype="float32",
        )
        return float(sparse.eigsh(scipy_operator, k=1, which="LA", tol=tolerance, return_eigenvectors=False)[0])

    return product, largest


def eigenthings_tool():
    from hessian_eigenthings import HessianOperator, LambdaOperator, lanczos

    operator = HessianOperator(rows, [(inputs, labels)], lambda model, batch: criterion(model(batch[0]), batch[1]))
    product = Counted(operator.matvec)

    def largest(tolerance, iterations):
        counted = LambdaOperator(product, size)
        return float(lanczos(counted, k=1, max_iter=iterations, tol=tolerance, which="LA", seed=0).eigenvalues[0])

    return product, largest


def pyhessian_tool():
    import pyhessian

    implementation = sys.modules["pyhessian.hessian"]  # the package has a class of that name
    made = pyhessian.hessian(rows, criterion, data=(inputs, labels), cuda=False)
    plain = implementation.hessian_vector_product
    shapes = [p.shape for p in parameters]

    def product_of_lists(gradients, params, v):
        product.count += 1
        return plain(gradients, params, v)

    implementation.hessian_vector_product = product_of_lists
    product = Counted(
        lambda v: plain(
            made.gradsH,
            made.params,
            [part.view(shape) for part, shape in zip(v.split([s.numel() for s in shapes]), shapes)],
        )
    )
    return product, lambda tolerance, _: float(made.eigenvalues(maxIter=1000, tol=tolerance, top_n=1)[0][0])


def peak():
    status = open("/proc/self/status").read()
    bytes_ = int(status.split("VmHWM:")[1].split()[0]) * 1024
    open("/proc/self/clear_refs", "w").write("5")
    return {"bytes": bytes_}


def main():
    makers = {"curvlinops": curvlinops_tool, "hessian-eigenthings": eigenthings_tool, "pyhessian": pyhessian_tool}
    made = functools.cache(makers[tool])  # when first asked for: PyHessian's has a graph, which counts as its memory
    vector = torch.randn(size)
    for line in sys.stdin:
        request = json.loads(line)
        started = time.perf_counter()
        if request["command"] == "peak":
            answer = peak()
        elif request["command"] == "hvp":
            made()[0](vector)
            answer = {"seconds": time.perf_counter() - started}
        else:
            product, largest = made()
            product.count = 0
            eigenvalue = largest(request["tolerance"], request.get("iterations"))
            answer = {
                "seconds": time.perf_counter() - started,
                "eigenvalue": eigenvalue,
                "products": product.count,
            }
        print(json.dumps(answer), flush=True)


# Flash attention has no second derivative.
with sdpa_kernel(SDPBackend.MATH):
    main()
