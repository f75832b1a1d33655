"""plugins/example-encoding: both variants have the same bits. ExampleTests/test_pages.py holds docs/ADD_PLUGIN.md to it."""

import json
import platform
import re
import sys

import pytest
from plugin_support import EXAMPLE, HERE, LIBRARY, ROOT, WARNINGS, build, python, run

needs_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="log6_avx2.c is for x86-64")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log6")
    built = {"plain": build(folder / "log6.so", "-Wpedantic", EXAMPLE / "log6.c")}
    if platform.machine() == "x86_64":
        sources = [EXAMPLE / "log6.c", EXAMPLE / "log6_avx2.c"]
        built["fast"] = build(folder / "log6_fast.so", "-Wpedantic", "-DLOG6_FAST", *sources)
    return built


def everywhere(path, **environment):
    return json.loads(run([sys.executable, HERE / "everywhere.py", path], **environment))


@pytest.fixture(scope="module")
def plain(plugins):
    """What everything comes to with dequantize alone, on the plainest kernels and one thread."""
    return everywhere(plugins["plain"], MAXLINEAR_ISA="scalar", MAXLINEAR_NUM_THREADS="1")


def test_nothing_of_the_library_is_linked(plugins):
    for path in plugins.values():
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run(["readelf", "-d", path]))
        assert set(needed) <= {"libc.so.6"}
        exported = run(["nm", "-D", "--defined-only", path])
        assert "mxl_plugin_entry" in exported
        assert not re.search(r" U mxl", run(["nm", "-D", path]))


def test_every_layer_takes_the_encoding(plain):
    assert plain["block"] == [32, 26, False] and plain["shape"] == [7, 2, 78]
    assert plain["round trip"] < 0.06 and plain["mlp"] < 1e-6


@pytest.mark.parametrize("threads", ["1", "2", "5"])
@pytest.mark.parametrize("variant", ["plain", pytest.param("fast", marks=needs_x86)])
def test_bits_are_the_same_on_all_kernels(variant, threads, plugins, plain):
    result = everywhere(plugins[variant], MAXLINEAR_NUM_THREADS=threads)
    assert result["digest"] == plain["digest"]


KERNELS = """
import json, sys, maxlinear
maxlinear.load_plugin(sys.argv[1])
info = maxlinear.cpu_info()
rows = next(e["rows"] for e in info["encodings"] if e["name"] == "LOG6")
plugin = next(p for p in info["plugins"] if p["name"] == "log6")
print(json.dumps({"rows": rows, "plugin": plugin, "features": info["isa"]["features"]}))
"""


@needs_x86
def test_fast_row_is_chosen_where_the_cpu_has_what_it_needs(plugins):
    result = python(KERNELS, plugins["fast"])
    kernel = "log6_linear_LOG6_f32_4x16__avx2"
    expected = kernel if "avx2" in result["features"] else "mxlk_linear_generic_LOG6_f32_4x16__scalar"
    assert result["rows"] == [{"op": "linear", "compute": "float32", "kernel": expected}]
    lowered = python(KERNELS, plugins["fast"], MAXLINEAR_ISA="scalar")
    assert lowered["rows"][0]["kernel"] == "mxlk_linear_generic_LOG6_f32_4x16__scalar"
    plugin = lowered["plugin"]
    assert plugin["encodings"] == ["LOG6"] and kernel in plugin["kernels"] and plugin["abi_version"] == "1.2"
    assert plugin["messages"] == [{"level": "info", "text": "LOG6: 6.5 bits a weight"}]
    assert plugin["path"] == str(plugins["fast"])


CLIENT = r"""
#include <maxlinear.h>
#include <stdio.h>
int main(int count, char **arguments) {
  (void)count;
  static float w[16 * 64], x[64], y[16];
  static uint8_t blocks[16 * 52];
  int64_t w_shape[] = {16, 64}, b_shape[] = {16, 52}, x_shape[] = {64}, y_shape[] = {16}, elements = 0, bytes = 0;
  for (int i = 0; i < 16 * 64; i++) w[i] = (float)(i % 3 - 1);
  for (int i = 0; i < 64; i++) x[i] = 1;
  mxl_tensor values = {.data = w, .dtype = MXL_FLOAT32, .rank = 2, .shape = w_shape};
  mxl_entry weight = {.name = "weight", .tensor = {.data = blocks, .dtype = MXL_UINT8, .rank = 2, .shape = b_shape}};
  mxl_tensor in = {.data = x, .dtype = MXL_FLOAT32, .rank = 1, .shape = x_shape};
  mxl_tensor out = {.data = y, .dtype = MXL_FLOAT32, .rank = 1, .shape = y_shape};
  mxl_linear_options options = {sizeof options, MXL_UINT8, .in_dim = 64, .out_dim = 16, .encoding = "LOG6"};
  mxl_error error = MXL_ERROR_INIT;
  mxl_layer *layer = NULL;
  const char *kernel = NULL;
  if (mxl_linear_create(&options, &layer, &error) != MXL_UNSUPPORTED) return 1;
  if (mxl_plugin_load(arguments[1], &error) || mxl_plugin_load(arguments[1], NULL) ||
      mxl_encoding_block("LOG6", &elements, &bytes, &error) || mxl_quantize("LOG6", NULL, &values, &weight.tensor, &error) ||
      mxl_linear_create(&options, &layer, &error) || mxl_layer_load(layer, &weight, 1, MXL_LOAD_STRICT, &error) ||
      mxl_layer_prepare(layer, NULL, &error) || mxl_layer_kernel(layer, &kernel, &error) ||
      mxl_layer_forward(layer, NULL, &in, &out, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  printf("%lld %lld %s %.9g %.9g %.9g\n", (long long)elements, (long long)bytes, kernel, y[0], y[1], y[2]);
  return 0;
}
"""


def test_c_client(plugins, tmp_path):
    source = tmp_path / "client.c"
    source.write_text(CLIENT)
    link = [f"-L{LIBRARY.parent}", f"-Wl,-rpath,{LIBRARY.parent}", "-lmaxlinear", "-o", tmp_path / "client"]
    run(["gcc", "-std=c11", *WARNINGS, "-Wno-missing-field-initializers", f"-I{ROOT / 'include'}", source, *link])
    words = [run([tmp_path / "client", path]).split() for path in plugins.values()]
    assert words[0][:2] == ["32", "26"]
    # 64 weights of -1, 0, 1 in turn, from another one on in each row; 1 is 1 to within the 8 bits of the scale.
    assert [round(float(word)) for word in words[0][3:]] == [-1, 0, 1]
    assert all(each[3:] == words[0][3:] for each in words)
