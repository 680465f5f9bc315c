# peat_module(NAME SOURCES… DEPENDS modules… LIBS libraries…): one folder of src as a static
# library peat_NAME. DEPENDS names modules above it; LIBS are foreign libraries.
function(peat_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS;LIBS" ${ARGN})
  add_library(peat_${name} STATIC ${arg_SOURCES})
  target_link_libraries(peat_${name} PRIVATE peat_compile)
  target_include_directories(peat_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>)
  foreach(dependency IN LISTS arg_DEPENDS)
    target_link_libraries(peat_${name} PUBLIC peat_${dependency})
  endforeach()
  target_link_libraries(peat_${name} PUBLIC ${arg_LIBS})
endfunction()

# peat_test(NAME SOURCES… LIBS…): a GoogleTest program, run as one CTest test of the label LABEL
# (default: unit).
function(peat_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE peat_compile ${arg_LIBS} GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${arg_TIMEOUT})
endfunction()
