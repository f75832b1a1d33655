/* A plugin that takes its time and then has nothing. */
#include <maxlinear/plugin.h>

#include <stddef.h>
#include <unistd.h>

const mxl_plugin *mxl_plugin_entry(const mxl_host *host);
const mxl_plugin *mxl_plugin_entry(const mxl_host *host) {
  (void)host;
  sleep(1);
  return NULL;
}
