if(TARGET peat-mesh-node)
  find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
  foreach(name node_sync node_lifecycle node_interface node_memory operations cli mesh query)
    add_test(NAME system_${name}
      COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/${name}_test.py)
    set_tests_properties(system_${name} PROPERTIES LABELS system TIMEOUT 300
      ENVIRONMENT PEAT_BIN_DIR=$<TARGET_FILE_DIR:peat-mesh-node>)
  endforeach()
  if(NOT PEAT_SANITIZE)
    # A sanitizer's runtime has to be the first library.
    add_library(slow_lookup MODULE ${CMAKE_CURRENT_LIST_DIR}/slow_lookup.cpp)
    set_property(TEST system_node_lifecycle APPEND PROPERTY
      ENVIRONMENT PEAT_SLOW_LOOKUP=$<TARGET_FILE:slow_lookup>)
  endif()
  if(PEAT_SANITIZE)
    # A sanitizer's own memory would be measured.
    set_tests_properties(system_node_memory PROPERTIES DISABLED TRUE)
  endif()
endif()
