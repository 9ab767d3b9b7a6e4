"""Writes `minilm.onnx`, the computation of all-MiniLM-L6-v2 without its weights.

    python -m kbs.embedding.build_minilm_graph

    ids int64 [B, T], mask float32 [B, T]  ->  embedding float32 [B, 384], rows of unit length

The network is BERT with 6 layers, then the mean over the tokens that are not padding. Weights are declared
under their names in `model.safetensors` and handed over when the graph is opened (`minilm.py`), so the
graph stays small enough to commit. Only this module needs the `onnx` package, a dependency of development.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

GRAPH = Path(__file__).with_name("minilm.onnx")
LAYERS, HIDDEN, HEADS, INNER = 6, 384, 12, 1536
WORDS, POSITIONS, TYPES = 30522, 512, 2
OPSET, IR_VERSION = 20, 10  # opset 20 is the first with Gelu; onnxruntime reads this pair since 1.17


class Drawing:
    """Nodes and named tensors as they are drawn; every operation answers the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def weight(self, name: str, *shape: int) -> str:
        """A tensor that is not in the file: onnxruntime takes it from `add_external_initializers`."""
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="model.safetensors")
        self.tensors.append(tensor)
        return name

    def integers(self, name: str, *values: int) -> str:
        self.tensors.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def scalar(self, name: str, value: float) -> str:
        self.tensors.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
        return name

    def linear(self, x: str, name: str, inputs: int, outputs: int) -> str:
        matrix = self.op("Transpose", self.weight(f"{name}.weight", outputs, inputs), perm=[1, 0])
        return self.op("Add", self.op("MatMul", x, matrix), self.weight(f"{name}.bias", outputs))

    def norm(self, x: str, name: str) -> str:
        scale, shift = self.weight(f"{name}.weight", HIDDEN), self.weight(f"{name}.bias", HIDDEN)
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-12)


def build() -> ModelProto:
    d = Drawing()
    d.integers("zero", 0)
    d.integers("one", 1)
    d.integers("split_heads", 0, 0, HEADS, HIDDEN // HEADS)
    d.integers("join_heads", 0, 0, HIDDEN)
    d.scalar("scale", (HIDDEN // HEADS) ** -0.5)

    x, padding = _embed(d), _padding(d)
    for layer in range(LAYERS):
        x = _layer(d, x, padding, f"encoder.layer.{layer}")
    _pool(d, x)
    return _model(d)


def _embed(d: Drawing) -> str:
    words = d.op("Gather", d.weight("embeddings.word_embeddings.weight", WORDS, HIDDEN), "ids")
    length = d.op("Shape", "ids", start=1, end=2)
    table = d.weight("embeddings.position_embeddings.weight", POSITIONS, HIDDEN)
    positions = d.op("Slice", table, "zero", length, "zero")
    # A single text is always of type 0, which lets the types be one row added to all.
    kind = d.op("Gather", d.weight("embeddings.token_type_embeddings.weight", TYPES, HIDDEN), "zero")
    return d.norm(d.op("Add", d.op("Add", words, positions), kind), "embeddings.LayerNorm")


def _padding(d: Drawing) -> str:
    """[B, 1, 1, T]: 0 where there is a token, a number that softmax turns to 0 where there is none."""
    absent = d.op("Sub", d.scalar("present", 1.0), "mask")
    return d.op("Unsqueeze", d.op("Mul", absent, d.scalar("never", -1e9)), d.integers("middle", 1, 2))


def _layer(d: Drawing, x: str, padding: str, name: str) -> str:
    def heads(part: str, order: Sequence[int]) -> str:
        y = d.linear(x, f"{name}.attention.self.{part}", HIDDEN, HIDDEN)
        return d.op("Transpose", d.op("Reshape", y, "split_heads"), perm=list(order))

    query, key, value = heads("query", (0, 2, 1, 3)), heads("key", (0, 2, 3, 1)), heads("value", (0, 2, 1, 3))
    scores = d.op("Add", d.op("Mul", d.op("MatMul", query, key), "scale"), padding)
    mixed = d.op("MatMul", d.op("Softmax", scores, axis=-1), value)
    joined = d.op("Reshape", d.op("Transpose", mixed, perm=[0, 2, 1, 3]), "join_heads")
    attended = d.linear(joined, f"{name}.attention.output.dense", HIDDEN, HIDDEN)
    x = d.norm(d.op("Add", attended, x), f"{name}.attention.output.LayerNorm")

    inner = d.op("Gelu", d.linear(x, f"{name}.intermediate.dense", HIDDEN, INNER))
    return d.norm(d.op("Add", d.linear(inner, f"{name}.output.dense", INNER, HIDDEN), x), f"{name}.output.LayerNorm")


def _pool(d: Drawing, x: str) -> None:
    total = d.op("Squeeze", d.op("MatMul", d.op("Unsqueeze", "mask", "one"), x), "one")
    mean = d.op("Div", total, d.op("ReduceSum", "mask", "one", keepdims=1))
    d.nodes.append(helper.make_node("LpNormalization", [mean], ["embedding"], axis=-1, p=2))


def _model(d: Drawing) -> ModelProto:
    def value(name: str, kind: int, *shape: str | int) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, kind, shape)

    graph = helper.make_graph(
        d.nodes,
        "all-MiniLM-L6-v2",
        [value("ids", TensorProto.INT64, "B", "T"), value("mask", TensorProto.FLOAT, "B", "T")],
        [value("embedding", TensorProto.FLOAT, "B", HIDDEN)],
        d.tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


if __name__ == "__main__":
    GRAPH.write_bytes(build().SerializeToString(deterministic=True))
