/* Serves a SavedModel without Python: TensorFlow's C API and nothing else.

   native_loader MODEL_DIR SIGNATURE OPERATION_LIBRARY...

   Reads requests from standard input and writes answers to standard output,
   all numbers little-endian:
     request: uint32 number of texts; for each input of the signature, in the
              order of their names, and each text: uint32 bytes, the bytes
     answer:  double seconds, uint32 number of outputs; for each output, in the
              order of their names: uint32 bytes, the name, uint32 TF_DataType,
              uint32 rank, int64 dimensions, and the values: of strings uint32
              bytes, the bytes
   The names of inputs and outputs come from the MetaGraphDef. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MOST_TENSORS 8
#define MOST_NAME 256

static TF_Status* status;

static void fail(const char* what, const char* why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void check(const char* what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

/* === Protocol buffers, as far as a signature needs them === */

typedef struct {
  const uint8_t* at;
  const uint8_t* end;
} Span;

static uint64_t read_varint(Span* span) {
  uint64_t value = 0;
  for (int shift = 0; span->at < span->end && shift < 64; shift += 7) {
    uint8_t byte = *span->at++;
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return value;
  }
  fail("MetaGraphDef", "damaged");
  return 0;
}

/* Reads one field; its bytes, if it has any, go to `content`. */
static int next_field(Span* span, Span* content) {
  if (span->at >= span->end) return 0;
  uint64_t key = read_varint(span);
  uint64_t size = 0;
  content->at = content->end = span->at;
  switch (key & 7) {
    case 0: read_varint(span); return (int)(key >> 3);
    case 1: size = 8; break;
    case 2: size = read_varint(span); break;
    case 5: size = 4; break;
    default: fail("MetaGraphDef", "unknown wire type");
  }
  if (size > (uint64_t)(span->end - span->at)) fail("MetaGraphDef", "cut off");
  content->at = span->at;
  content->end = span->at += size;
  return (int)(key >> 3);
}

static int is(Span text, const char* name) {
  size_t size = strlen(name);
  return (size_t)(text.end - text.at) == size && !memcmp(text.at, name, size);
}

/* Finds the value of a map's entry; the map is the field `number`. */
static int find_entry(Span message, int number, const char* key, Span* value) {
  Span entry;
  for (int field; (field = next_field(&message, &entry));) {
    if (field != number) continue;
    Span part, name = {0, 0}, found = {0, 0};
    for (int inner; (inner = next_field(&entry, &part));)
      *(inner == 1 ? &name : &found) = part;
    if (is(name, key)) {
      *value = found;
      return 1;
    }
  }
  return 0;
}

typedef struct {
  char key[MOST_NAME];
  TF_Output output;
} Named;

/* TensorInfo.name, "operation:index", to an output of the graph. */
static TF_Output tensor(TF_Graph* graph, Span info) {
  Span part;
  char name[MOST_NAME] = "";
  for (int field; (field = next_field(&info, &part));)
    if (field == 1 && part.end - part.at < MOST_NAME)
      memcpy(name, part.at, part.end - part.at);
  char* colon = strchr(name, ':');
  TF_Output output = {NULL, colon ? atoi(colon + 1) : 0};
  if (colon) *colon = 0;
  output.oper = TF_GraphOperationByName(graph, name);
  if (!output.oper) fail(name, "no such operation");
  return output;
}

static int compare(const void* a, const void* b) {
  return strcmp(((const Named*)a)->key, ((const Named*)b)->key);
}

/* SignatureDef.inputs = 1 or outputs = 2, sorted by name. */
static int read_tensors(TF_Graph* graph, Span signature, int number,
                        Named* named, TF_Output* outputs) {
  int count = 0;
  Span entry;
  for (int field; (field = next_field(&signature, &entry));) {
    if (field != number) continue;
    if (count == MOST_TENSORS) fail("signature", "too many inputs or outputs");
    Span part;
    memset(&named[count], 0, sizeof named[count]);
    for (int inner; (inner = next_field(&entry, &part));) {
      if (inner == 1 && part.end - part.at < MOST_NAME)
        memcpy(named[count].key, part.at, part.end - part.at);
      if (inner == 2) named[count].output = tensor(graph, part);
    }
    count++;
  }
  qsort(named, count, sizeof named[0], compare);
  for (int i = 0; i < count; i++) outputs[i] = named[i].output;
  return count;
}

/* === Requests === */

static void read_exactly(void* into, size_t size) {
  if (size && fread(into, size, 1, stdin) != 1) fail("request", "cut off");
}

static TF_Tensor* read_texts(int64_t count) {
  TF_Tensor* texts = TF_AllocateTensor(TF_STRING, &count, 1,
                                       count * sizeof(TF_TString));
  TF_TString* strings = TF_TensorData(texts);
  for (int64_t i = 0; i < count; i++) {
    uint32_t size;
    read_exactly(&size, sizeof size);
    char* text = malloc(size + 1);
    read_exactly(text, size);
    TF_StringInit(&strings[i]);
    TF_StringCopy(&strings[i], text, size);
    free(text);
  }
  return texts;
}

/* === Answers === */

static void write_number(uint32_t number) {
  fwrite(&number, sizeof number, 1, stdout);
}

static void write_bytes(const char* bytes, size_t size) {
  write_number((uint32_t)size);
  fwrite(bytes, size, 1, stdout);
}

static void write_tensor(const char* name, TF_Tensor* tensor) {
  write_bytes(name, strlen(name));
  write_number(TF_TensorType(tensor));
  write_number(TF_NumDims(tensor));
  for (int i = 0; i < TF_NumDims(tensor); i++) {
    int64_t size = TF_Dim(tensor, i);
    fwrite(&size, sizeof size, 1, stdout);
  }
  if (TF_TensorType(tensor) != TF_STRING) {
    fwrite(TF_TensorData(tensor), TF_TensorByteSize(tensor), 1, stdout);
    return;
  }
  TF_TString* strings = TF_TensorData(tensor);
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++)
    write_bytes(TF_StringGetDataPointer(&strings[i]),
                TF_StringGetSize(&strings[i]));
}

int main(int argc, char** argv) {
  if (argc < 3) fail("usage", "native_loader MODEL_DIR SIGNATURE LIBRARY...");
  status = TF_NewStatus();
  for (int i = 3; i < argc; i++) {
    TF_LoadLibrary(argv[i], status);
    check(argv[i]);
  }
  double start = now();
  const char* tags[] = {"serve"};
  TF_Graph* graph = TF_NewGraph();
  TF_Buffer* meta_graph = TF_NewBuffer();
  TF_Session* session =
      TF_LoadSessionFromSavedModel(TF_NewSessionOptions(), NULL, argv[1], tags,
                                   1, graph, meta_graph, status);
  check("loading");
  fprintf(stderr, "TensorFlow %s, loaded in %.3f s\n", TF_Version(),
          now() - start);

  Span meta = {meta_graph->data,
               (const uint8_t*)meta_graph->data + meta_graph->length};
  Span signature;
  /* MetaGraphDef.signature_def = 5. */
  if (!find_entry(meta, 5, argv[2], &signature)) fail(argv[2], "no signature");
  Named inputs[MOST_TENSORS], outputs[MOST_TENSORS];
  TF_Output fed[MOST_TENSORS], fetched[MOST_TENSORS];
  int number_of_inputs = read_tensors(graph, signature, 1, inputs, fed);
  int number_of_outputs = read_tensors(graph, signature, 2, outputs, fetched);

  uint32_t count;
  while (fread(&count, sizeof count, 1, stdin) == 1) {
    TF_Tensor* texts[MOST_TENSORS];
    TF_Tensor* answers[MOST_TENSORS];
    for (int i = 0; i < number_of_inputs; i++) texts[i] = read_texts(count);
    start = now();
    TF_SessionRun(session, NULL, fed, texts, number_of_inputs, fetched,
                  answers, number_of_outputs, NULL, 0, NULL, status);
    double seconds = now() - start;
    check("running");
    fwrite(&seconds, sizeof seconds, 1, stdout);
    write_number(number_of_outputs);
    for (int i = 0; i < number_of_outputs; i++) {
      write_tensor(outputs[i].key, answers[i]);
      TF_DeleteTensor(answers[i]);
    }
    fflush(stdout);
    for (int i = 0; i < number_of_inputs; i++) {
      TF_TString* strings = TF_TensorData(texts[i]);
      for (uint32_t k = 0; k < count; k++) TF_StringDealloc(&strings[k]);
      TF_DeleteTensor(texts[i]);
    }
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  return 0;
}
