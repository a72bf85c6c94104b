// The symbol is what an order id starts with: `BTC_USDT-1f3a9c` belongs to `BTC_USDT`. One option: `key`, the metadata key
// that holds the id, by default `order-id`.
//
// `extractor.h` is what `wit-bindgen c` makes of the contract. What is printed, read or asked of the system through the C
// library would import WASI, and the gateway would refuse the file.

#include <stdlib.h>
#include <string.h>

#include "extractor.h"

static char key[256] = "order-id";

// A text made of three pieces. The bindings free it once it is passed on.
static void say(extractor_string_t *ret, const char *before, const char *middle, size_t length, const char *after) {
  size_t first = strlen(before), last = strlen(after);
  ret->len = first + length + last;
  ret->ptr = malloc(ret->len + 1);
  if (ret->ptr == NULL) abort();
  memcpy(ret->ptr, before, first);
  memcpy(ret->ptr + first, middle, length);
  memcpy(ret->ptr + first + length, after, last);
}

// Moves `*at` behind spaces and then behind this character; false where it does not follow.
static bool passes(const char **at, const char *end, char expected) {
  while (*at < end && strchr(" \t\r\n", **at) != NULL) ++*at;
  if (*at >= end || **at != expected) return false;
  ++*at;
  return true;
}

// A JSON text without escapes, from `*at` on, which is moved behind it; NULL where there is none.
static const char *text(const char **at, const char *end, size_t *length) {
  if (!passes(at, end, '"')) return NULL;
  const char *start = *at;
  for (const char *c = start; c < end && *c != '\\'; c++) {
    if (*c == '"') {
      *length = c - start;
      *at = c + 1;
      return start;
    }
  }
  return NULL;
}

// Reads `{}` or `{"key":"..."}`; false with the reason in `err`.
static bool configure(const extractor_string_t *config, extractor_string_t *err) {
  const char *at = (const char *)config->ptr, *end = at + config->len, *value = NULL;
  size_t length = 0;
  bool opens = passes(&at, end, '{');
  const char *name = text(&at, end, &length);
  if (opens && name == NULL && passes(&at, end, '}')) return true;
  if (name != NULL && (length != 3 || memcmp(name, "key", 3) != 0)) {
    say(err, "unknown option `", name, length, "`, expected `key`");
    return false;
  }
  if (name != NULL && passes(&at, end, ':')) value = text(&at, end, &length);
  if (value == NULL || length >= sizeof key || !passes(&at, end, '}')) {
    say(err, "the only option is `key`, a short text without escapes", "", 0, "");
    return false;
  }
  memcpy(key, value, length);
  key[length] = 0;
  return true;
}

bool exports_symgate_plugin_extract_init(extractor_string_t *config, exports_symgate_plugin_extract_inputs_t *ret,
                                         extractor_string_t *err) {
  bool fits = configure(config, err);
  extractor_string_free(config);
  if (!fits) return false;
  extractor_string_t line;
  say(&line, "order ids are in ", key, strlen(key), "");
  symgate_plugin_log_write(SYMGATE_PLUGIN_LOG_LEVEL_DEBUG, &line);
  extractor_string_free(&line);

  memset(ret, 0, sizeof *ret);
  ret->metadata.len = 1;
  ret->metadata.ptr = malloc(sizeof *ret->metadata.ptr);
  if (ret->metadata.ptr == NULL) abort();
  extractor_string_dup(ret->metadata.ptr, key);
  ret->message = EXPORTS_SYMGATE_PLUGIN_EXTRACT_NEED_NEVER;
  ret->pure = true;
  return true;
}

void exports_symgate_plugin_extract_extract(exports_symgate_plugin_extract_call_t *call,
                                            exports_symgate_plugin_extract_outcome_t *ret) {
  extractor_option_list_u8_t *id = call->metadata.val.ptr;
  const uint8_t *dash = id->is_some ? memchr(id->val.ptr, '-', id->val.len) : NULL;
  if (dash != NULL && dash != id->val.ptr) {
    ret->tag = EXPORTS_SYMGATE_PLUGIN_EXTRACT_OUTCOME_SYMBOL;
    extractor_string_dup_n(&ret->val.symbol, (const char *)id->val.ptr, dash - id->val.ptr);
  } else {
    ret->tag = EXPORTS_SYMGATE_PLUGIN_EXTRACT_OUTCOME_NO_SYMBOL;
    if (id->is_some) {
      say(&ret->val.no_symbol, "", key, strlen(key), " is not symbol-number");
    } else {
      say(&ret->val.no_symbol, "the call carries no metadata `", key, strlen(key), "`");
    }
  }
  exports_symgate_plugin_extract_call_free(call);
}
