/* Serves a SavedModel without Python: TensorFlow's C API and nothing else.

   native_loader MODEL_DIR SIGNATURE OPERATION_LIBRARY...

   Reads requests from standard input and writes answers to standard output,
   all numbers little-endian:
     request: uint32 number of texts; for each input of the signature, in the
              order of their names, and each text: uint32 bytes, the bytes
     answer:  double seconds, uint32 classes; for each text: uint32 bytes, the
              label, and the probabilities as float32
   The names of inputs and outputs come from the MetaGraphDef. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

#define MOST_INPUTS 4
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

/* SignatureDef.inputs, sorted by name. */
static int read_inputs(TF_Graph* graph, Span signature, Named* inputs) {
  int count = 0;
  Span entry;
  for (int field; (field = next_field(&signature, &entry));) {
    if (field != 1) continue;
    if (count == MOST_INPUTS) fail("signature", "too many inputs");
    Span part;
    memset(&inputs[count], 0, sizeof inputs[count]);
    for (int inner; (inner = next_field(&entry, &part));) {
      if (inner == 1 && part.end - part.at < MOST_NAME)
        memcpy(inputs[count].key, part.at, part.end - part.at);
      if (inner == 2) inputs[count].output = tensor(graph, part);
    }
    count++;
  }
  qsort(inputs, count, sizeof inputs[0], compare);
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
  Span signature, info;
  /* MetaGraphDef.signature_def = 5; SignatureDef.inputs = 1, outputs = 2. */
  if (!find_entry(meta, 5, argv[2], &signature)) fail(argv[2], "no signature");
  Named inputs[MOST_INPUTS];
  int number_of_inputs = read_inputs(graph, signature, inputs);
  TF_Output fetched[2];
  const char* outputs[] = {"label", "probabilities"};
  const TF_DataType types[] = {TF_STRING, TF_FLOAT};
  for (int i = 0; i < 2; i++) {
    if (!find_entry(signature, 2, outputs[i], &info))
      fail(outputs[i], "no such output");
    fetched[i] = tensor(graph, info);
  }

  uint32_t count;
  while (fread(&count, sizeof count, 1, stdin) == 1) {
    TF_Output fed[MOST_INPUTS];
    TF_Tensor* texts[MOST_INPUTS];
    TF_Tensor* answers[2];
    for (int i = 0; i < number_of_inputs; i++) {
      fed[i] = inputs[i].output;
      texts[i] = read_texts(count);
    }
    start = now();
    TF_SessionRun(session, NULL, fed, texts, number_of_inputs, fetched,
                  answers, 2, NULL, 0, NULL, status);
    double seconds = now() - start;
    check("running");
    for (int i = 0; i < 2; i++)
      if (TF_TensorType(answers[i]) != types[i]) fail(outputs[i], "wrong type");
    TF_TString* labels = TF_TensorData(answers[0]);
    float* probabilities = TF_TensorData(answers[1]);
    uint32_t classes = (uint32_t)TF_Dim(answers[1], 1);
    fwrite(&seconds, sizeof seconds, 1, stdout);
    fwrite(&classes, sizeof classes, 1, stdout);
    for (uint32_t i = 0; i < count; i++) {
      uint32_t size = (uint32_t)TF_StringGetSize(&labels[i]);
      fwrite(&size, sizeof size, 1, stdout);
      fwrite(TF_StringGetDataPointer(&labels[i]), size, 1, stdout);
      fwrite(probabilities + i * classes, sizeof(float), classes, stdout);
    }
    fflush(stdout);
    for (int i = 0; i < number_of_inputs; i++) {
      TF_TString* strings = TF_TensorData(texts[i]);
      for (uint32_t k = 0; k < count; k++) TF_StringDealloc(&strings[k]);
      TF_DeleteTensor(texts[i]);
    }
    for (int i = 0; i < 2; i++) TF_DeleteTensor(answers[i]);
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  return 0;
}
